"""Ranking metrics (nDCG, recall, precision, MRR, MAP, hit rate) as sums over relevant ranks.

These metrics depend only on the ranks of the relevant products, so they are computed from `Hits`,
without padding and before any cut-off. Ranks count from 1. A query without relevant products, or
with none retrieved, scores 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shopsight.errors import UsageError, unknown_name
from shopsight.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Hits:
    """Ranks of the relevant products of Q queries: H hits, sorted by query, then by rank.

    Of each hit (H,): query index, rank from 1, grade above 0; ``relevant`` (Q,) counts the relevant
    products, retrieved or not; the same of all G relevant products in their ideal ranking.
    """

    query: IntArray
    rank: IntArray
    gain: FloatArray
    relevant: IntArray
    ideal_query: IntArray
    ideal_rank: IntArray
    ideal_gain: FloatArray

    @cached_property
    def count(self) -> IntArray:
        """(H,) number of hits of the query up to and including this one."""
        starts = np.searchsorted(self.query, np.arange(len(self.relevant)))
        return np.arange(len(self.query)) - starts[self.query] + 1

    def total(self, values: FloatArray, k: int | None) -> FloatArray:
        """(Q,) sum of ``values`` (H,) over each query's hits at ranks 1 to ``k``."""
        near = self.rank <= (np.inf if k is None else k)
        return np.bincount(self.query[near], values[near], len(self.relevant)).astype(np.float64)


@dataclass(frozen=True)
class Metric:
    """A metric and its cut-off: the lowest rank that counts, or None for all."""

    kind: str
    k: int | None = None

    def __str__(self) -> str:
        return self.kind if self.k is None else f"{self.kind}@{self.k}"

    def __call__(self, hits: Hits) -> FloatArray:
        """(Q,) value of each query."""
        return _KINDS[self.kind](hits, self.k)


def parse_metric(name: str) -> Metric:
    """Parse a name such as ``ndcg@5`` or ``mrr``.

    Raises:
        UsageError: an unknown name, a cut-off that is not a positive integer, or a missing one
            where the metric needs it (precision, hit).

    >>> parse_metric("ndcg@5")
    Metric(kind='ndcg', k=5)
    """
    kind, separator, cut_off = name.strip().lower().partition("@")
    if kind not in _KINDS:
        raise unknown_name("metric", kind, list(_KINDS))
    if separator and not re.fullmatch("[1-9][0-9]{0,8}", cut_off):
        raise UsageError(f"metric '{name}': the cut-off after @ must be a whole number above 0")
    if not separator and kind in ("precision", "hit"):
        raise UsageError(f"metric '{name}' needs a cut-off, such as {kind}@5")
    return Metric(kind, int(cut_off) if separator else None)


def ndcg(hits: Hits, k: int | None) -> FloatArray:
    """(Q,) DCG@k over its ideal; DCG = sum of grade / log2(rank + 1), linear in the grade.

    Source: Järvelin, Kekäläinen, *Cumulated gain-based evaluation of IR techniques*, 2002, with the
    discount log2(rank + 1) at all ranks, which Burges et al., 2005, introduced, trec_eval uses and
    Sakai, *Metrics, statistics, tests*, 2014, calls the Microsoft version of nDCG.
    """
    dcg = hits.total(hits.gain / np.log2(hits.rank + 1.0), k)
    near = hits.ideal_rank <= (np.inf if k is None else k)
    discounted = hits.ideal_gain[near] / np.log2(hits.ideal_rank[near] + 1.0)
    return _ratio(dcg, np.bincount(hits.ideal_query[near], discounted, len(hits.relevant)))


def recall(hits: Hits, k: int | None) -> FloatArray:
    """(Q,) fraction of the relevant products at ranks 1 to k."""
    return _ratio(hits.total(np.ones(len(hits.query)), k), hits.relevant)


def precision(hits: Hits, k: int | None) -> FloatArray:
    """(Q,) fraction of ranks 1 to k with a relevant product; a shorter ranking counts as k."""
    if k is None:
        raise UsageError("precision needs a cut-off, such as precision@5")
    return hits.total(np.ones(len(hits.query)), k) / k


def reciprocal_rank(hits: Hits, k: int | None) -> FloatArray:
    """(Q,) 1 / rank of the first relevant product."""
    return hits.total(np.where(hits.count == 1, 1.0 / hits.rank, 0.0), k)


def average_precision(hits: Hits, k: int | None) -> FloatArray:
    """(Q,) sum of the precision at each relevant rank over the number of relevant products."""
    return _ratio(hits.total(hits.count / hits.rank, k), hits.relevant)


def hit(hits: Hits, k: int | None) -> FloatArray:
    """(Q,) 1 if a relevant product is at ranks 1 to k, else 0."""
    return (hits.total(np.ones(len(hits.query)), k) > 0).astype(np.float64)


def _ratio(part: FloatArray, whole: FloatArray | IntArray) -> FloatArray:
    return part / np.where(whole > 0, whole, 1.0)


_KINDS: dict[str, Callable[[Hits, int | None], FloatArray]] = {
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "mrr": reciprocal_rank,
    "map": average_precision,
    "hit": hit,
}
