"""Queries grouped by K-means over TF-IDF vectors, reduced by truncated SVD.

The vectors and the means are fitted on a seeded sample and then applied to all queries in
blocks, so that time and memory stay bounded at millions of queries.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopsight.negatives.words import Progress, QueryWords

_FITTED_ON = 100_000
_BLOCK = 50_000
_QUERIES_PER_CLUSTER = 100
_MOST_CLUSTERS = 2_000


def cluster_count(queries: int, clusters: int) -> int:
    """How many clusters: as asked, or one per 100 queries if 0; never more than queries.

    >>> cluster_count(1_350_000, 0), cluster_count(250, 0), cluster_count(3, 50)
    (2000, 3, 3)
    """
    wanted = clusters or min(-(-queries // _QUERIES_PER_CLUSTER), _MOST_CLUSTERS)
    return min(wanted, queries)


def cluster_queries(
    queries: QueryWords,
    clusters: int,
    dimensions: int,
    seed: int,
    progress: Progress | None = None,
) -> NDArray[np.int32]:
    """The cluster of each query; repeatable by seed.

    Args:
        queries: U distinct queries.
        clusters: how many, as `cluster_count` reads it; some may stay empty.
        dimensions: width of a query vector.
        seed: of the sample, the SVD and the means.
        progress: told about stage "clusters".

    Returns:
        (U,) cluster numbers from 0.
    """
    total = len(queries)
    count = cluster_count(total, clusters)
    found = np.zeros(total, np.int32)
    if count <= 1 or not queries.incidence.nnz:
        return found
    tf_idf = _tf_idf(queries)
    sample = np.random.default_rng(seed).permutation(total)[:_FITTED_ON]
    axes = _axes(tf_idf[np.sort(sample)], dimensions, seed)
    means = _means(_vectors(tf_idf[np.sort(sample)], axes), count, seed)
    for start in range(0, total, _BLOCK):
        block = _vectors(tf_idf[start : start + _BLOCK], axes)
        found[start : start + _BLOCK] = means.predict(block)
        if progress:
            progress("clusters", min(start + _BLOCK, total), total)
    return found


def _tf_idf(queries: QueryWords) -> Any:
    """(U, W) CSR of unit-length rows; a word's weight is log(1 + U / df)."""
    from sklearn.preprocessing import normalize

    weights = np.log1p(len(queries) / np.maximum(queries.frequency, 1)).astype(np.float32)
    weighted = queries.incidence.copy()
    weighted.data = weights[weighted.indices]
    return normalize(weighted, copy=False)


def _axes(tf_idf: Any, dimensions: int, seed: int) -> NDArray[np.float32] | None:
    """(W, D) right singular vectors, or None where the words are no more than D."""
    from sklearn.utils.extmath import randomized_svd

    if min(tf_idf.shape) <= dimensions:
        return None
    _, _, rows = randomized_svd(tf_idf, dimensions, random_state=seed)
    return np.ascontiguousarray(rows.T, np.float32)


def _vectors(tf_idf: Any, axes: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """(n, D) unit-length dense vectors."""
    from sklearn.preprocessing import normalize

    dense = tf_idf.toarray() if axes is None else tf_idf @ axes
    return np.asarray(normalize(dense, copy=False), np.float32)


def _means(vectors: NDArray[np.float32], count: int, seed: int) -> Any:
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    means = MiniBatchKMeans(
        count, batch_size=4096, init_size=3 * count, n_init=1, max_iter=20, random_state=seed
    )
    with warnings.catch_warnings():
        # Fewer distinct vectors than clusters: some clusters stay empty, which is no harm here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return means.fit(vectors)
