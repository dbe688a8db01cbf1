"""Products, queries and pools: the prepared folder and the small world."""
