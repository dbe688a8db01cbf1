"""Search a catalogue: an index made of a trained run, and what finds products in it."""
