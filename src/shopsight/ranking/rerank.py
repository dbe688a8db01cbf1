"""Re-ranking with the candidate lists of other queries.

**Transductive**: the ranking of a query depends on the other queries of the batch and on their
candidates, which a live search does not have. Scores after this step therefore do not carry over
to live search; it is here to reproduce the competition's post-processing (2nd place).
"""

from __future__ import annotations

import numpy as np

from shopsight.errors import UsageError
from shopsight.ranking.run import group_starts, lowest_scores
from shopsight.types import BoolArray, FloatArray, IntArray, Run


def rerank_exclusive(run: Run, margin: float | None = None) -> Run:
    """Keep each product for its best query only; in other queries, demote it below all kept ones.

    Kept candidates keep their scores; demoted ones keep their order. With a (finite) margin, a
    product that several queries score is kept only if its best query leads the second best by more
    than the margin, and otherwise demoted in all of them.

    >>> run = Run.from_dict({"q1": {"a": 0.9, "b": 0.5}, "q2": {"a": 0.7, "c": 0.1}})
    >>> rerank_exclusive(run).scores.tolist()
    [0.9, 0.5, -0.9, 0.1]
    """
    if margin is not None and not np.isfinite(margin):
        raise UsageError(f"the margin must be a finite number, not {margin}")
    return run.with_scores(_demoted(run, exclusive(run, margin)), f"{run.name} exclusive")


def exclusive(run: Run, margin: float | None = None) -> BoolArray:
    """(N,) mask of the candidates that `rerank_exclusive` keeps.

    Of queries that score a product equally, the one whose id is greater as a string is best.
    """
    pools = run.pools
    query_rank = np.argsort(np.argsort(np.array(pools.query_ids, object)))[pools.query_idx]
    order = np.lexsort((-query_rank, -run.scores, pools.id_rank))
    score = run.scores[order]
    first = group_starts(pools.id_rank[order])
    kept = first.copy()
    if margin is not None:
        contested = np.zeros(len(order), bool)  # best of several
        contested[:-1] = first[:-1] & ~first[1:]
        lead = np.zeros(len(order))
        lead[:-1] = score[:-1] - score[1:]
        kept &= ~contested | (lead > margin)
    result = np.empty(len(order), bool)
    result[order] = kept
    return result


def _demoted(run: Run, kept: BoolArray) -> FloatArray:
    """Scores with all candidates that are not kept below the kept ones, in unchanged order."""
    pools = run.pools
    floor = lowest_scores(pools, run.scores, kept)
    # Beyond 2**53 a step of 1 would vanish in rounding: floor - step must stay below floor.
    step = np.maximum(1.0, 4.0 * np.spacing(np.abs(floor)))
    below = floor[pools.query_idx] - step[pools.query_idx] * _levels(run, ~kept)
    # A query of which nothing is kept has no floor; its scores stay.
    has_floor = np.bincount(pools.query_idx[kept], minlength=len(pools)) > 0
    return np.where(kept | ~has_floor[pools.query_idx], run.scores, below)


def _levels(run: Run, mask: BoolArray) -> IntArray:
    """(N,) dense rank of each masked score within its query, from 1; 0 outside the mask.

    Equal scores share a level, so that ties stay ties.
    """
    order = np.flatnonzero(mask)[np.lexsort((-run.scores[mask], run.pools.query_idx[mask]))]
    query = run.pools.query_idx[order]
    count = np.cumsum(group_starts(query, run.scores[order]))
    levels = np.zeros(len(mask), np.int64)
    levels[order] = count - np.maximum.accumulate(np.where(group_starts(query), count - 1, 0))
    return levels
