"""Training tasks: a model with its losses and parameter groups."""
