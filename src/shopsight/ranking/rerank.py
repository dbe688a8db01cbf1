"""Re-ranking with the candidate lists of other queries.

**Transductive**: the ranking of a query depends on the other queries of the batch and on their
candidates, which a live search does not have. Scores after this step therefore do not carry over
to live search; it is here to reproduce the competition's post-processing (2nd place).
"""

from __future__ import annotations

import numpy as np

from shopsight.errors import UsageError
from shopsight.types import BoolArray, FloatArray, IntArray, Run


def rerank_exclusive(run: Run, margin: float | None = None) -> Run:
    """Keep each product for its best query only; in other queries, demote it below all kept ones.

    Kept candidates keep their scores; demoted ones keep their order.

    Args:
        margin: keep a product that several queries score only if its best query leads the second
            best by more than this; otherwise demote it in all of them. Products of a single
            query are always kept.

    Raises:
        UsageError: a margin that is not finite.

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
    product, score = pools.id_rank[order], run.scores[order]
    first = np.ones(len(order), bool)
    first[1:] = product[1:] != product[:-1]
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
    lowest = np.full(len(pools), np.inf)
    np.minimum.at(lowest, pools.query_idx[kept], run.scores[kept])
    floor = np.where(np.isfinite(lowest), lowest, 0.0)
    # Beyond 2**53 a step of 1 would vanish in rounding: floor - step must stay below floor.
    step = np.maximum(1.0, 4.0 * np.spacing(np.abs(floor)))
    below = floor[pools.query_idx] - step[pools.query_idx] * _levels(run, ~kept)
    # A query of which nothing is kept has no floor; its scores stay.
    return np.where(kept | np.isinf(lowest)[pools.query_idx], run.scores, below)


def _levels(run: Run, mask: BoolArray) -> IntArray:
    """(N,) dense rank of each masked score within its query, from 1; 0 outside the mask.

    Equal scores share a level, so that ties stay ties.
    """
    order = np.flatnonzero(mask)[np.lexsort((-run.scores[mask], run.pools.query_idx[mask]))]
    score, query = run.scores[order], run.pools.query_idx[order]
    new_query = np.ones(len(order), bool)
    new_query[1:] = query[1:] != query[:-1]
    new_level = new_query.copy()
    new_level[1:] |= score[1:] != score[:-1]
    count = np.cumsum(new_level)
    levels = np.zeros(len(mask), np.int64)
    levels[order] = count - np.maximum.accumulate(np.where(new_query, count - 1, 0))
    return levels
