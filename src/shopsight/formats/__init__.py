"""File formats: validating readers and atomic writers."""
