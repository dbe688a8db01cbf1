"""What a ranking is worth, query by query: the metrics by name, as sums over relevant places.

Only the places that relevant products reached matter to these metrics, so they are computed from
`Hits`, which no padding and no cut-off have touched. Places count from 1. A query with no
relevant product, or none found, is worth 0.
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
    """Where a run put the relevant products of Q queries: H hits, by query, then by place.

    Attributes:
        query: (H,) which query, 0 to Q - 1.
        place: (H,) place in the ranking, from 1.
        gain: (H,) grade, above 0.
        relevant: (Q,) number of relevant products there are, found or not.
        ideal_query: (G,) which query, for every relevant product there is.
        ideal_place: (G,) its place in the best possible ranking.
        ideal_gain: (G,) its grade.
    """

    query: IntArray
    place: IntArray
    gain: FloatArray
    relevant: IntArray
    ideal_query: IntArray
    ideal_place: IntArray
    ideal_gain: FloatArray

    @cached_property
    def nth(self) -> IntArray:
        """(H,) this is the how-manieth hit of its query, from 1."""
        starts = np.searchsorted(self.query, np.arange(len(self.relevant)))
        return np.arange(len(self.query)) - starts[self.query] + 1

    def total(self, values: FloatArray, k: int | None) -> FloatArray:
        """(Q,) sum of ``values`` (H,) over the hits of each query among the first ``k``."""
        near = self.place <= (np.inf if k is None else k)
        return np.bincount(self.query[near], values[near], len(self.relevant)).astype(np.float64)


@dataclass(frozen=True)
class Metric:
    """A metric and its cut-off.

    Attributes:
        kind: ndcg, recall, precision, mrr, map or hit.
        k: how many places count; None for all.
    """

    kind: str
    k: int | None = None

    def __str__(self) -> str:
        return self.kind if self.k is None else f"{self.kind}@{self.k}"

    def __call__(self, hits: Hits) -> FloatArray:
        """(Q,) value of each query."""
        return _KINDS[self.kind](hits, self.k)


def parse_metric(name: str) -> Metric:
    """Read a name such as ``ndcg@5`` or ``mrr``.

    Raises:
        UsageError: an unknown name, a cut-off that is no whole number above 0, or none where
            the metric needs one (precision, hit).

    >>> parse_metric("ndcg@5")
    Metric(kind='ndcg', k=5)
    """
    kind, at, cut = name.strip().lower().partition("@")
    if kind not in _KINDS:
        raise unknown_name("metric", kind, list(_KINDS))
    if at and not re.fullmatch("[1-9][0-9]{0,8}", cut):
        raise UsageError(f"metric '{name}': the cut-off after @ must be a whole number above 0")
    if not at and kind in ("precision", "hit"):
        raise UsageError(f"metric '{name}' needs a cut-off, such as {kind}@5")
    return Metric(kind, int(cut) if at else None)


def ndcg(hits: Hits, k: int | None) -> FloatArray:
    """(Q,) DCG@k over its ideal; DCG = sum of grade / log2(place + 1).

    The gain is linear in the grade; the ideal ranks every relevant product first, found or not.
    Source: Järvelin, Kekäläinen, *Cumulated gain-based evaluation of IR techniques*, 2002.
    """
    found = hits.total(hits.gain / np.log2(hits.place + 1.0), k)
    near = hits.ideal_place <= (np.inf if k is None else k)
    discounted = hits.ideal_gain[near] / np.log2(hits.ideal_place[near] + 1.0)
    return _share(found, np.bincount(hits.ideal_query[near], discounted, len(hits.relevant)))


def recall(hits: Hits, k: int | None) -> FloatArray:
    """(Q,) share of the relevant products that are among the first k."""
    return _share(hits.total(np.ones(len(hits.query)), k), hits.relevant)


def precision(hits: Hits, k: int | None) -> FloatArray:
    """(Q,) share of the first k places that hold a relevant product; missing places count."""
    if k is None:
        raise UsageError("precision needs a cut-off, such as precision@5")
    return hits.total(np.ones(len(hits.query)), k) / k


def reciprocal_rank(hits: Hits, k: int | None) -> FloatArray:
    """(Q,) 1 / place of the first relevant product."""
    return hits.total(np.where(hits.nth == 1, 1.0 / hits.place, 0.0), k)


def average_precision(hits: Hits, k: int | None) -> FloatArray:
    """(Q,) precision at each relevant place, summed, over the number of relevant products."""
    return _share(hits.total(hits.nth / hits.place, k), hits.relevant)


def hit(hits: Hits, k: int | None) -> FloatArray:
    """(Q,) 1 where a relevant product is among the first k."""
    return (hits.total(np.ones(len(hits.query)), k) > 0).astype(np.float64)


def _share(part: FloatArray, whole: FloatArray | IntArray) -> FloatArray:
    return part / np.where(whole > 0, whole, 1.0)


_KINDS: dict[str, Callable[[Hits, int | None], FloatArray]] = {
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "mrr": reciprocal_rank,
    "map": average_precision,
    "hit": hit,
}
