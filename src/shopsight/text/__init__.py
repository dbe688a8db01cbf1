"""Query text: normalisation, tokens, statistics."""
