"""Training tasks, one module for each model."""
