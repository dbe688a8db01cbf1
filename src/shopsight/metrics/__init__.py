"""Evaluation metrics, bootstrap intervals and significance tests."""
