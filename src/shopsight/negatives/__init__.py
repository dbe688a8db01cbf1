"""Hard negatives: query groups and samplers."""
