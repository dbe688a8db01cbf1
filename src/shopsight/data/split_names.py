"""Names of the splits."""

TRAIN = "train"
"""The split of clicked pairs."""
VALID = "valid"
"""The split that training validates on and fits fusion weights to."""
SPLIT_ORDER = (TRAIN, VALID, "testA", "testB")
"""The order in which splits are read and listed; other names follow."""
