"""Generated queries for the tests of query groups."""

import numpy as np
from hypothesis import strategies as st

QUERIES = st.lists(
    st.lists(st.sampled_from("abcdefghijklmn"), min_size=0, max_size=12).map(" ".join),
    min_size=1,
    max_size=30,
    unique=True,
)


def zipf_queries(count, seed=0):
    """Distinct queries of 2 to 5 words with a Zipf distribution."""
    rng = np.random.default_rng(seed)
    queries = {}
    while len(queries) < count:
        picked = np.minimum(rng.zipf(1.4, rng.integers(2, 6)), 400)
        queries[" ".join(f"w{word}" for word in picked)] = None
    return list(queries)
