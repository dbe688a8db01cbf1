"""Networks that turn products and queries into codes, and codes into scores."""
