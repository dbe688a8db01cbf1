"""shopsight: match shoppers' queries to product photos, and search a catalogue with them."""

__version__ = "0.4.0"
