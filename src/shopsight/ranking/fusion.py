"""Fusion of runs: weighted sums of (normalised) scores, and reciprocal rank fusion."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from shopsight.config import FusionConfig
from shopsight.errors import UsageError, unknown_name
from shopsight.formats.fields import LARGEST_SCORE
from shopsight.ranking.run import align, group_starts, lowest_scores, ranks
from shopsight.types import FloatArray, Pools, Run


def normalise(run: Run, method: str = "none") -> Run:
    """Normalise the scores of each query; constant scores become 0.

    Methods: "none"; "minmax", (s - min) / (max - min); "zscore", (s - mean) / standard deviation;
    "rank", the fraction of the query's other candidates that score lower, ties counting half, so
    that the best gets 1 and the worst 0.

    >>> normalise(Run.from_dict({"q": {"a": 2.0, "b": 4.0, "c": 3.0}}), "minmax").scores.tolist()
    [0.0, 1.0, 0.5]
    """
    if method not in _NORMALISERS:
        raise unknown_name("normalisation", method, list(_NORMALISERS))
    if not len(run.scores):
        return run
    return run.with_scores(_NORMALISERS[method](run.pools, run.scores))


def fuse(
    runs: Sequence[Run],
    weights: Sequence[float] | None = None,
    config: FusionConfig | None = None,
    name: str = "fused",
) -> Run:
    """Align, normalise and sum runs, by default with equal weights; see `weighted_sum`.

    A pair that a run lacks gets its lowest score of the query.

    >>> first, second = Run.from_dict({"q": {"a": 1.0}}), Run.from_dict({"q": {"a": 3.0}})
    >>> fuse([first, second], [0.25, 0.75]).scores.tolist()
    [2.5]
    """
    if weights is None:
        weights = [1.0 / len(runs)] * len(runs)
    terms = fusion_terms(align(runs).runs, config or FusionConfig())
    return weighted_sum(terms, weights, name)


def weighted_sum(runs: Sequence[Run], weights: Sequence[float], name: str = "fused") -> Run:
    """The weighted sum of the scores of runs that share their pools.

    Raises:
        UsageError: weights that are not one finite number per run, negative, all 0, or so large
            that a sum exceeds the largest valid score.
        ValueError: runs that were not aligned.
    """
    if len(weights) != len(runs) or not np.all(np.isfinite(weights)):
        raise UsageError(f"{len(runs)} runs need {len(runs)} finite weights, not {list(weights)}")
    if min(weights) < 0 or not any(weights):
        raise UsageError(f"weights must be at least 0 and not all 0, not {list(weights)}")
    if any(run.pools is not runs[0].pools for run in runs):
        raise ValueError("the runs do not share their pools: align them first")
    scores = np.zeros(len(runs[0].scores))
    with np.errstate(over="ignore", invalid="ignore"):  # an overflow raises below
        for run, weight in zip(runs, weights, strict=True):
            if weight:
                scores += weight * run.scores
    # The negated comparison also rejects NaN.
    if not np.abs(scores).max(initial=0.0) <= LARGEST_SCORE:
        raise UsageError(f"weights {list(weights)} lead to scores beyond {LARGEST_SCORE:g}")
    return runs[0].with_scores(scores, name)


def reciprocal_ranks(run: Run, k: float = FusionConfig.rrf_k) -> Run:
    """Replace each score by 1 / (k + rank); their sum is reciprocal rank fusion (RRF).

    Source: Cormack, Clarke, Büttcher, *Reciprocal Rank Fusion outperforms Condorcet and
    Individual Rank Learning Methods*, SIGIR 2009, where k = 60.
    """
    return run.with_scores(1.0 / (k + ranks(run).astype(np.float64)))


def fusion_terms(runs: Sequence[Run], config: FusionConfig) -> list[Run]:
    """Aligned runs as terms of the weighted sum: reciprocal ranks or normalised scores."""
    if config.method == "rrf":
        return [reciprocal_ranks(run, config.rrf_k) for run in runs]
    return [normalise(run, config.normalise) for run in runs]


def _minmax(pools: Pools, scores: FloatArray) -> FloatArray:
    low, high = _extremes(pools, scores)
    spread = np.where(high > low, high - low, 1.0)
    return (scores - low[pools.query_idx]) / spread[pools.query_idx]


def _zscore(pools: Pools, scores: FloatArray) -> FloatArray:
    low, high = _extremes(pools, scores)
    query = pools.query_idx
    sizes = np.maximum(pools.sizes, 1)
    mean = np.bincount(query, scores, len(pools)) / sizes
    centred = scores - mean[query]
    deviation = np.sqrt(np.bincount(query, centred**2, len(pools)) / sizes)
    # Rounding can give constant scores a tiny deviation, hence the comparison of the extremes.
    varied = (high > low) & (deviation > 0)
    return np.where(varied[query], centred / np.where(varied, deviation, 1.0)[query], 0.0)


def _rank(pools: Pools, scores: FloatArray) -> FloatArray:
    query = pools.query_idx
    order = np.lexsort((scores, query))
    position = np.arange(len(scores)) - pools.offsets[:-1][query]  # (N,) from 0, worst first
    group = np.cumsum(group_starts(query[order], scores[order])) - 1
    tied = np.bincount(group, position) / np.bincount(group)  # mean position of each tie group
    fraction = tied[group] / np.maximum(pools.sizes[query] - 1, 1)
    low, high = _extremes(pools, scores)
    result = np.empty_like(scores)
    result[order] = np.where((high > low)[query], fraction, 0.0)
    return result


def _extremes(pools: Pools, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(Q,) lowest and highest score of each query; 0 and 0 for one without candidates."""
    return lowest_scores(pools, scores), -lowest_scores(pools, -scores)


_NORMALISERS: dict[str, Callable[[Pools, FloatArray], FloatArray]] = {
    "none": lambda _, scores: scores,
    "minmax": _minmax,
    "zscore": _zscore,
    "rank": _rank,
}
