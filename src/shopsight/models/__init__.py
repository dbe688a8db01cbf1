"""Networks that encode products and queries, and score pairs of encodings."""
