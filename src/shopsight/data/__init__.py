"""Data set access."""
