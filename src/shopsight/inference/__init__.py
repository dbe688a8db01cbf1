"""Everything a trained run can do: encode, rank, caption, explain, evaluate."""
