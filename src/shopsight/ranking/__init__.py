"""Verbs on runs: order, fuse, rerank, audit."""
