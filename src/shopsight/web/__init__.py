"""HTTP API and search page of an index."""
