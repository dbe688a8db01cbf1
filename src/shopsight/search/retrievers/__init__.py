"""Candidate retrievers behind one protocol."""
