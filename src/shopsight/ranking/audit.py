"""Does a candidate pool give its answers away?

Where candidates were collected around each query's answers, a product that few pools offer is
likelier to be relevant, and a ranking by that count alone, which looks at no text and no photo,
beats chance. Figures on such pools say as much about the pools as about a model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from shopsight.text.normalise import normalise
from shopsight.types import AnyArray, FloatArray, IntArray, Pools, Qrels

#: Pools leak if counting beats chance by more than this, with confidence.
LEAK_MARGIN = 0.02
DEPTH = 5
Interval = Callable[[FloatArray], tuple[float, float]]


@dataclass(frozen=True)
class PoolStatistics:
    """What can be said of pools without answers.

    Attributes:
        queries: number of pools.
        candidates: (query, product) pairs, each counted once.
        products: distinct products.
        pool_sizes: smallest, mean and largest pool.
        products_by_pool_count: ``{pools that offer it: products}``.
        repeated_in_pool: (query id, product id) pairs that stand more than once.
        empty_pools: queries without candidates.
        empty_queries: queries without text; None where texts are not known.
        duplicate_queries: groups of queries with the same text, once normalised; None where
            not known.
    """

    queries: int
    candidates: int
    products: int
    pool_sizes: tuple[int, float, int]
    products_by_pool_count: dict[int, int]
    repeated_in_pool: list[tuple[str, str]]
    empty_pools: list[str]
    empty_queries: list[str] | None
    duplicate_queries: list[list[str]] | None


@dataclass(frozen=True)
class RelevanceCount:
    """How often products offered by a number of pools are relevant."""

    candidates: int
    relevant: int

    @property
    def rate(self) -> float:
        """Relevant candidates per candidate."""
        return self.relevant / self.candidates if self.candidates else 0.0


@dataclass(frozen=True)
class LabelLeak:
    """What can be said of pools with answers; every nDCG@5 is an exact expectation over ties.

    Attributes:
        queries: queries with answers, which all means are over.
        count_only: nDCG@5 of ranking by how few pools offer the product.
        random: nDCG@5 of random order.
        difference: low and high of the 95% interval of count_only - random over queries.
        relevance_by_pool_count: ``{pools that offer it: RelevanceCount}``.
        unreachable: ``{query id: answers that are not in its pool}``.
        without_pool: queries with answers and no pool.
        without_answers: queries with a pool and no answers.
    """

    queries: int
    count_only: float
    random: float
    difference: tuple[float, float]
    relevance_by_pool_count: dict[int, RelevanceCount]
    unreachable: dict[str, list[str]]
    without_pool: list[str]
    without_answers: list[str]

    @property
    def leaks(self) -> bool:
        """Whether counting pools beats random order by more than `LEAK_MARGIN`."""
        return self.difference[0] > LEAK_MARGIN


@dataclass(frozen=True)
class Audit:
    """The two halves of an audit; ``leak`` is None without answers."""

    structure: PoolStatistics
    leak: LabelLeak | None

    @property
    def verdict(self) -> str:
        """One plain sentence."""
        if self.leak is None:
            return "Whether these pools leak cannot be said without answers."
        ours, chance = self.leak.count_only, self.leak.random
        found = f"scores nDCG@{DEPTH} {ours:.3f}, random order {chance:.3f}"
        if self.leak.leaks:
            return (
                "These pools LEAK: ranking products by how few pools offer them, without any"
                f" model, {found}."
            )
        return (
            f"No leak found: ranking products by how few pools offer them {found}; that is not"
            f" reliably more than {LEAK_MARGIN} better."
        )


def audit(
    pools: Pools,
    qrels: Qrels | None,
    interval: Interval,
    texts: Mapping[str, str] | None = None,
) -> Audit:
    """Audit candidate pools.

    Args:
        pools: the candidates; a product may stand twice in one pool.
        qrels: the answers, if there are any.
        interval: low and high of the mean of (Q,) values, such as
            `shopsight.metrics.evaluate.bootstrap_interval`.
        texts: ``{query id: text}``, where known.
    """
    once, repeated = _without_repeats(pools)
    structure = _structure(once, repeated, texts)
    return Audit(structure, None if qrels is None else _leak(once, qrels, interval))


def expected_dcg(gains: FloatArray, keys: IntArray, k: int = DEPTH) -> float:
    """Expected DCG@k of ordering by ``keys`` ascending, ties in random order.

    Each place of a group of ties holds, in expectation, the group's mean gain.

    Args:
        gains: (C,) gain of each candidate.
        keys: (C,) what they are ordered by.
        k: the cut-off.

    >>> round(expected_dcg(np.array([1.0, 0.0, 0.0]), np.array([1, 1, 2]), 2), 4)  # (1 + .6309) / 2
    0.8155
    """
    _, group, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    means = np.bincount(group, gains, len(sizes)) / sizes
    placed = np.repeat(means, sizes)[:k]
    return float((placed / np.log2(np.arange(2, len(placed) + 2))).sum())


def _without_repeats(pools: Pools) -> tuple[Pools, list[tuple[str, str]]]:
    unique: dict[str, list[str]] = {}
    repeated = []
    for query in pools.query_ids:
        counts = Counter(pools.of(query))
        unique[query] = list(counts)
        repeated += [(query, product) for product, count in counts.items() if count > 1]
    return Pools.from_dict(unique), repeated


def _structure(
    pools: Pools, repeated: list[tuple[str, str]], texts: Mapping[str, str] | None
) -> PoolStatistics:
    counts = Counter(Counter(pools.product_ids.tolist()).values())
    sizes = pools.sizes
    spread = (
        (int(sizes.min()), float(sizes.mean()), int(sizes.max())) if len(pools) else (0, 0.0, 0)
    )
    empty = duplicate = None
    if texts is not None:
        by_text: dict[str, list[str]] = {}
        for query in pools.query_ids:
            by_text.setdefault(normalise(texts.get(query, "")), []).append(query)
        empty = by_text.pop("", [])
        duplicate = [queries for queries in by_text.values() if len(queries) > 1]
    return PoolStatistics(
        queries=len(pools),
        candidates=len(pools.product_ids),
        products=sum(counts.values()),
        pool_sizes=spread,
        products_by_pool_count=dict(sorted(counts.items())),
        repeated_in_pool=repeated,
        empty_pools=[q for q, size in zip(pools.query_ids, sizes, strict=True) if not size],
        empty_queries=empty,
        duplicate_queries=duplicate,
    )


def _leak(pools: Pools, qrels: Qrels, interval: Interval) -> LabelLeak:
    offered = Counter(pools.product_ids.tolist())
    known = set(pools.query_ids)
    by_count: dict[int, list[float]] = {}
    unreachable: dict[str, list[str]] = {}
    count_only, random = [], []
    for query, grades in qrels.relevance.items():
        products = pools.of(query) if query in known else []
        gains = np.array([max(grades.get(product, 0), 0) for product in products], float)
        counts = np.array([offered[product] for product in products], np.int64)
        ideal = _ideal_dcg(grades)
        count_only.append(expected_dcg(gains, counts) / ideal)
        random.append(expected_dcg(gains, np.zeros_like(counts)) / ideal)
        for count, gain in zip(counts.tolist(), gains.tolist(), strict=True):
            by_count.setdefault(count, []).append(gain)
        missing = {product for product, grade in grades.items() if grade > 0} - set(products)
        if missing and query in known:
            unreachable[query] = sorted(missing)
    ours, chance = np.array(count_only), np.array(random)
    return LabelLeak(
        queries=len(qrels),
        count_only=float(ours.mean()),
        random=float(chance.mean()),
        difference=interval(ours - chance),
        relevance_by_pool_count={
            count: RelevanceCount(len(gains), sum(gain > 0 for gain in gains))
            for count, gains in sorted(by_count.items())
        },
        unreachable=unreachable,
        without_pool=[query for query in qrels.relevance if query not in known],
        without_answers=[query for query in pools.query_ids if query not in qrels.relevance],
    )


def _ideal_dcg(grades: Mapping[str, int]) -> float:
    """The best DCG@k there is; 1 where nothing is relevant, so that such a query scores 0."""
    gains: AnyArray = np.array(sorted(grades.values(), reverse=True)[:DEPTH], float).clip(min=0)
    return float((gains / np.log2(np.arange(2, len(gains) + 2))).sum()) or 1.0
