"""Names of the splits."""

TRAIN = "train"
"""Clicked pairs."""
VALID = "valid"
"""Validation during training; fusion weights are fitted to it."""
SPLIT_ORDER = (TRAIN, VALID, "testA", "testB")
"""Order in which splits are read and listed; other names follow."""
