"""The synthetic shop and the small world of the demo."""
