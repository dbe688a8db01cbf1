"""Benchmarks, synthetic data at scale and unoptimised reference models."""
