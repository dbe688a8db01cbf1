"""Re-ranking with the candidate lists of other queries.

**Transductive**: what happens to a query depends on which other queries were asked in the same
batch and on their candidates. A live search has no such thing, so figures after this step say
nothing about one; it is here to reproduce the competition's post-processing (2nd place).
"""

from __future__ import annotations

import numpy as np

from shopsight.errors import UsageError
from shopsight.types import BoolArray, FloatArray, IntArray, Run


def rerank_exclusive(run: Run, margin: float | None = None) -> Run:
    """Keep each product for its best query only; elsewhere it goes below all that is kept.

    Nothing is lost: what is demoted keeps its order, below the kept candidates of its query.

    Args:
        run: the scores of many queries.
        margin: if given, a product that is a candidate of several queries is kept only if its
            best query leads its second best by more than this; else it is demoted in all of
            them. A product of one query alone is always kept.

    Returns:
        the run with lowered scores; kept candidates keep theirs.

    Raises:
        UsageError: a margin that is not a finite number.

    >>> run = Run.from_dict({"q1": {"a": 0.9, "b": 0.5}, "q2": {"a": 0.7, "c": 0.1}})
    >>> rerank_exclusive(run).scores.tolist()
    [0.9, 0.5, -0.9, 0.1]
    """
    if margin is not None and not np.isfinite(margin):
        raise UsageError(f"the margin must be a finite number, not {margin}")
    return run.with_scores(_demoted(run, exclusive(run, margin)), f"{run.name} exclusive")


def exclusive(run: Run, margin: float | None = None) -> BoolArray:
    """(N,) which candidates are kept: see `rerank_exclusive`.

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
        contested = np.zeros(len(order), bool)
        contested[:-1] = first[:-1] & ~first[1:]  # best of several
        lead = np.zeros(len(order))
        lead[:-1] = score[:-1] - score[1:]
        kept &= ~contested | (lead > margin)
    result = np.empty(len(order), bool)
    result[order] = kept
    return result


def _demoted(run: Run, kept: BoolArray) -> FloatArray:
    """Scores in which the candidates not kept stand below the kept ones, in unchanged order."""
    pools = run.pools
    lowest = np.full(len(pools), np.inf)
    np.minimum.at(lowest, pools.query_idx[kept], run.scores[kept])
    floor = np.where(np.isfinite(lowest), lowest, 0.0)
    step = np.maximum(1.0, 4.0 * np.spacing(np.abs(floor)))  # so that floor - step is less
    below = floor[pools.query_idx] - step[pools.query_idx] * _levels(run, ~kept)
    # Where nothing of a query is kept, there is nothing to go below.
    return np.where(kept | np.isinf(lowest)[pools.query_idx], run.scores, below)


def _levels(run: Run, chosen: BoolArray) -> IntArray:
    """(N,) of the chosen, the number of different chosen scores of its query from it upwards."""
    order = np.flatnonzero(chosen)[np.lexsort((-run.scores[chosen], run.pools.query_idx[chosen]))]
    score, query = run.scores[order], run.pools.query_idx[order]
    new_query = np.ones(len(order), bool)
    new_query[1:] = query[1:] != query[:-1]
    new_level = new_query.copy()
    new_level[1:] |= score[1:] != score[:-1]
    count = np.cumsum(new_level)
    levels = np.zeros(len(chosen), np.int64)
    levels[order] = count - np.maximum.accumulate(np.where(new_query, count - 1, 0))
    return levels
