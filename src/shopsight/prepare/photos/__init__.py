"""From a table of products with photos to a prepared folder."""
