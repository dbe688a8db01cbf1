"""k-reciprocal re-ranking of a pool by the neighbours that its products and its query share.

Two vectors are k-reciprocal neighbours if each is among the k nearest of the other. A product whose
neighbours are those of the query is likely to be relevant even where its own score is moderate.
Each query is re-ranked with its own pool alone: nothing is taken from other queries.

Source: Zhong, Zheng, Cao, Li, *Re-ranking person re-identification with k-reciprocal encoding*,
CVPR 2017.
"""

from __future__ import annotations

import numpy as np

from shopsight.config import KReciprocalConfig
from shopsight.ranking.fusion import normalise
from shopsight.types import BoolArray, FloatArray, IntArray, Run


def rerank_k_reciprocal(
    run: Run,
    queries: FloatArray,
    products: FloatArray,
    product_idx: IntArray,
    config: KReciprocalConfig | None = None,
) -> Run:
    """Re-rank Q pools of N candidates.

    A score is own_weight * (the run's score, scaled to 0 to 1 within its query) + (1 - own_weight)
    * (the Jaccard similarity of the neighbours of query and product).

    Args:
        queries: (Q, D) unit vectors of the queries.
        products: (P, D) unit vectors of distinct products.
        product_idx: (N,) row of ``products`` of each candidate.
    """
    config = config or KReciprocalConfig()
    similarity = np.zeros(len(run.scores))
    for query_idx, vector in enumerate(queries):
        part = slice(run.pools.offsets[query_idx], run.pools.offsets[query_idx + 1])
        vectors = np.concatenate([vector[None], products[product_idx[part]]])
        similarity[part] = jaccard_similarities(vectors, config.k1, config.k2)
    own = normalise(run, "minmax").scores
    scores = config.own_weight * own + (1 - config.own_weight) * similarity
    return run.with_scores(scores, f"{run.name} k-reciprocal")


def jaccard_similarities(vectors: FloatArray, k1: int, k2: int) -> FloatArray:
    """(C,) similarity of the neighbours of the first vector to those of each of the C others.

    Args:
        vectors: (1 + C, D) unit vectors.
        k1: nearest neighbours that may be reciprocal.
        k2: nearest neighbours whose neighbourhoods are averaged.
    """
    distance = np.maximum(2 - 2 * vectors @ vectors.T, 0)
    np.fill_diagonal(distance, 0)
    distance /= np.maximum(distance.max(axis=1, keepdims=True), 1e-12)
    nearest = np.argsort(distance, axis=1, kind="stable")
    close, closer = _reciprocal(nearest, k1), _reciprocal(nearest, round(k1 / 2))
    # A neighbour's own closer neighbours join where two thirds of them are neighbours already.
    shared = closer.astype(np.int64) @ close.T.astype(np.int64)
    joins = close & (shared > 2 / 3 * closer.sum(axis=1, keepdims=True)).T
    members = close | (joins.astype(np.int64) @ closer.astype(np.int64) > 0)
    weights = np.where(members, np.exp(-distance), 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    weights = weights[nearest[:, : max(k2, 1)]].mean(axis=1)
    common = np.minimum(weights[0], weights[1:]).sum(axis=1)
    similarities: FloatArray = common / (2 - common)
    return similarities


def _reciprocal(nearest: IntArray, k: int) -> BoolArray:
    """Whether each of two vectors is among the k nearest of the other; itself included."""
    near = np.zeros(nearest.shape, bool)
    np.put_along_axis(near, nearest[:, : k + 1], values=True, axis=1)
    return near & near.T
