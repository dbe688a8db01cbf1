"""K-means clusters of queries, over TF-IDF vectors reduced by truncated SVD.

Both are fitted to a seeded sample and applied in blocks, which bounds time and memory.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopsight.negatives.words import QueryWords
from shopsight.types import Progress, no_progress

_SAMPLE = 100_000
_BLOCK = 50_000
_QUERIES_PER_CLUSTER = 100
_MAX_CLUSTERS = 2_000


def cluster_count(queries: int, clusters: int) -> int:
    """Number of clusters: one per 100 queries if 0, and never more than queries.

    >>> cluster_count(1_350_000, 0), cluster_count(250, 0), cluster_count(3, 50)
    (2000, 3, 3)
    """
    return min(clusters or min(-(-queries // _QUERIES_PER_CLUSTER), _MAX_CLUSTERS), queries)


def cluster_queries(
    queries: QueryWords, clusters: int, dimensions: int, seed: int, progress: Progress = no_progress
) -> NDArray[np.int32]:
    """(U,) cluster of each query, from 0, repeatable by seed.

    Some of the `cluster_count` clusters may stay empty. Progress has the stage "clusters".
    """
    total = len(queries)
    count = cluster_count(total, clusters)
    labels = np.zeros(total, np.int32)
    if count <= 1 or not queries.incidence.nnz:
        return labels
    tf_idf = _tf_idf(queries)
    sample = np.sort(np.random.default_rng(seed).permutation(total)[:_SAMPLE])
    axes = _singular_axes(tf_idf[sample], dimensions, seed)
    kmeans = _fit_kmeans(_project(tf_idf[sample], axes), count, seed)
    for start in range(0, total, _BLOCK):
        block = _project(tf_idf[start : start + _BLOCK], axes)
        labels[start : start + _BLOCK] = kmeans.predict(block)
        progress("clusters", min(start + _BLOCK, total), total)
    return labels


def _tf_idf(queries: QueryWords) -> Any:
    """(U, W) CSR of unit rows; the weight of a word is log(1 + U / df)."""
    from sklearn.preprocessing import normalize

    weights = np.log1p(len(queries) / np.maximum(queries.frequency, 1)).astype(np.float32)
    weighted = queries.incidence.copy()
    weighted.data = weights[weighted.indices]
    return normalize(weighted, copy=False)


def _singular_axes(tf_idf: Any, dimensions: int, seed: int) -> NDArray[np.float32] | None:
    """(W, D) right singular vectors, or None if the matrix has no more than D dimensions."""
    from sklearn.utils.extmath import randomized_svd

    if min(tf_idf.shape) <= dimensions:
        return None
    _, _, rows = randomized_svd(tf_idf, dimensions, random_state=seed)
    return np.ascontiguousarray(rows.T, np.float32)


def _project(tf_idf: Any, axes: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """(n, D) dense unit vectors."""
    from sklearn.preprocessing import normalize

    dense = tf_idf.toarray() if axes is None else tf_idf @ axes
    return np.asarray(normalize(dense, copy=False), np.float32)


def _fit_kmeans(vectors: NDArray[np.float32], count: int, seed: int) -> Any:
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    kmeans = MiniBatchKMeans(
        count, batch_size=4096, init_size=3 * count, n_init=1, max_iter=20, random_state=seed
    )
    with warnings.catch_warnings():
        # With fewer distinct vectors than clusters some stay empty, which does no harm here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return kmeans.fit(vectors)
