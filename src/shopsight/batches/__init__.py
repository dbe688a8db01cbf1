"""Training batches."""
