"""How good a run is, and whether a difference is more than luck."""
