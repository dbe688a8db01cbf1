"""Ranking metrics as sums over the ranks of relevant products.

These metrics depend only on the ranks of judged products, so they are computed from `Hits`, without
padding and before any cut-off. Ranks count from 1. A query without relevant products, or with none
retrieved, scores 0. nDCG and ERR use grades; for all others a product is relevant or not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from shopsight.errors import UsageError, unknown_name
from shopsight.types import FloatArray, IntArray

_PERSISTENCE = 0.8
_MAX_EXPONENT = 500  # of two, so that sums of gains stay finite


@dataclass(frozen=True, eq=False)
class Hits:
    """Ranks of the relevant products of Q queries: H hits, sorted by query, then by rank.

    Of each hit (H,): query index, rank from 1, grade above 0; ``relevant`` (Q,) counts the relevant
    products, retrieved or not; the same of all G relevant products in their ideal ranking. Of each
    retrieved product with a judgement, of any grade (J,): query index and rank. Products of grade
    ``at_least`` or more are relevant where that is yes or no.
    """

    query: IntArray
    rank: IntArray
    gain: FloatArray
    relevant: IntArray
    ideal_query: IntArray
    ideal_rank: IntArray
    ideal_gain: FloatArray
    judged_query: IntArray
    judged_rank: IntArray
    at_least: int = 1

    @cached_property
    def binary(self) -> Hits:
        """The hits of the products that are relevant where that is yes or no."""
        if self.at_least <= 1:
            return self
        kept = self.gain >= self.at_least
        ideal = self.ideal_query[self.ideal_gain >= self.at_least]
        return replace(
            self,
            query=self.query[kept],
            rank=self.rank[kept],
            gain=self.gain[kept],
            relevant=np.bincount(ideal, minlength=len(self.relevant)),
            at_least=1,
        )

    @cached_property
    def first(self) -> IntArray:
        """(H,) index of the first hit of the query."""
        return np.searchsorted(self.query, self.query)

    @cached_property
    def count(self) -> IntArray:
        """(H,) number of hits of the query up to and including this one."""
        return np.arange(len(self.query)) - self.first + 1

    def total(self, values: FloatArray, k: int | None) -> FloatArray:
        """(Q,) sum of ``values`` (H,) over each query's hits at ranks 1 to ``k``."""
        near = self.rank <= (np.inf if k is None else k)
        return np.bincount(self.query[near], values[near], len(self.relevant)).astype(np.float64)


@dataclass(frozen=True)
class Metric:
    """A metric, its cut-off (the lowest rank that counts, or None for all) and its parameter."""

    kind: str
    k: int | None = None
    parameter: float | None = None

    def __str__(self) -> str:
        parameter = "" if self.parameter is None else f":{self.parameter:g}"
        return f"{self.kind}{parameter}{'' if self.k is None else f'@{self.k}'}"

    def __call__(self, hits: Hits) -> FloatArray:
        """(Q,) value of each query."""
        if self.kind == "rbp":
            return rank_biased_precision(hits.binary, self.k, self.parameter or _PERSISTENCE)
        if self.kind in _GRADED:
            return _GRADED[self.kind](hits, self.k)
        return _BINARY[self.kind](hits.binary, self.k)


def parse_metric(name: str, gain: str = "linear") -> Metric:
    """Parse a name such as ``ndcg@5``, ``mrr`` or ``rbp:0.95``.

    With exponential ``gain``, ``ndcg`` is ``ndcg_exp``.

    Raises:
        UsageError: an unknown name, a cut-off that is not a positive integer, a missing cut-off
            where the metric needs it, or an invalid parameter.

    >>> parse_metric("ndcg@5"), str(parse_metric("rbp:.95@10"))
    (Metric(kind='ndcg', k=5, parameter=None), 'rbp:0.95@10')
    """
    head, separator, cut_off = name.strip().lower().partition("@")
    kind, colon, parameter = head.partition(":")
    if kind not in METRICS:
        raise unknown_name("metric", kind, list(METRICS))
    if separator and not re.fullmatch("[1-9][0-9]{0,8}", cut_off):
        raise UsageError(f"metric '{name}': the cut-off after @ must be a whole number above 0")
    if not separator and kind in ("precision", "hit", "success", "judged"):
        raise UsageError(f"metric '{name}' needs a cut-off, such as {kind}@5")
    if colon and (kind != "rbp" or not re.fullmatch(r"0?\.[0-9]*[1-9][0-9]*", parameter)):
        raise UsageError(f"metric '{name}': only rbp has a parameter, its persistence: rbp:0.95")
    kind = "ndcg_exp" if kind == "ndcg" and gain == "exponential" else kind
    return Metric(kind, int(cut_off) if separator else None, float(parameter) if colon else None)


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


def exponential_ndcg(hits: Hits, k: int | None) -> FloatArray:
    """(Q,) nDCG@k with the gain 2^grade - 1 of Burges et al., 2005."""
    if hits.ideal_gain.max(initial=0) > _MAX_EXPONENT:
        raise UsageError(f"a grade above {_MAX_EXPONENT} is too large for the gain 2^grade - 1")
    gains = {name: np.exp2(getattr(hits, name)) - 1 for name in ("gain", "ideal_gain")}
    return ndcg(replace(hits, **gains), k)


def expected_reciprocal_rank(hits: Hits, k: int | None) -> FloatArray:
    """(Q,) expected 1 / rank at which a user, who reads from the top, is satisfied.

    A product of grade g satisfies with probability (2^g - 1) / 2^G, where G is the highest grade of
    the judgements (gdeval fixes G = 4). Source: Chapelle, Metzler, Zhang, Grinspan, *Expected
    reciprocal rank for graded relevance*, CIKM 2009.
    """
    highest = hits.ideal_gain.max(initial=0)
    satisfied = np.exp2(hits.gain - highest) - np.exp2(-highest)
    # A probability that rounds to 1 would have no logarithm.
    log_reads_on = np.log1p(-np.minimum(satisfied, 1 - 2.0**-53))
    before = np.cumsum(log_reads_on) - log_reads_on
    return hits.total(np.exp(before - before[hits.first]) * satisfied / hits.rank, k)


def rank_biased_precision(hits: Hits, k: int | None, persistence: float) -> FloatArray:
    """(Q,) (1 - p) times the sum of p^(rank - 1) over relevant products.

    Source: Moffat, Zobel, *Rank-biased precision for measurement of retrieval effectiveness*, 2008.
    """
    reached: FloatArray = np.power(persistence, hits.rank - 1.0)
    return (1 - persistence) * hits.total(reached, k)


def judged(hits: Hits, k: int | None) -> FloatArray:
    """(Q,) fraction of ranks 1 to k with a product that has a judgement."""
    if k is None:
        raise UsageError("judged needs a cut-off, such as judged@5")
    near = hits.judged_query[hits.judged_rank <= k]
    return np.bincount(near, minlength=len(hits.relevant)) / k


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


_Kinds = dict[str, Callable[[Hits, int | None], FloatArray]]
_GRADED: _Kinds = {
    "ndcg": ndcg,
    "ndcg_exp": exponential_ndcg,
    "err": expected_reciprocal_rank,
    "judged": judged,
}
_BINARY: _Kinds = {
    "recall": recall,
    "precision": precision,
    "mrr": reciprocal_rank,
    "map": average_precision,
    "hit": hit,
    "success": hit,
}
METRICS = (*_GRADED, *_BINARY, "rbp")
