"""Audit of candidate pools: structure, and leakage of relevance labels.

Where pools were collected around each query's relevant products, a product that few pools offer
is more likely to be relevant, and a ranking by that count alone, without text or photo, beats
chance. Scores on such pools describe the pools as much as a model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from shopsight.tables import Grid, Tabular, abbreviated, plain
from shopsight.text.normalise import normalise
from shopsight.types import AnyArray, FloatArray, IntArray, Pools, Qrels

#: Pools leak if counting beats chance by more than this, with confidence.
LEAK_MARGIN = 0.02
DEPTH = 5
# Products offered by this many pools or more share a row of the table.
_MANY_POOLS = 6
Interval = Callable[[FloatArray], tuple[float, float]]


@dataclass(frozen=True)
class PoolStatistics:
    """Pool statistics that need no relevance judgements; query texts are optional.

    Attributes:
        pool_sizes: smallest, mean and largest pool.
        products_by_pool_count: ``{pools that offer it: products}``.
        empty_queries: queries without text.
        duplicate_queries: groups of queries with the same normalised text.
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

    def grid(self) -> Grid:
        """The statistics as a table."""
        smallest, mean, largest = self.pool_sizes
        several = sum(n for count, n in self.products_by_pool_count.items() if count > 1)
        rows = [
            ("queries", f"{self.queries:,}"),
            ("candidates", f"{self.candidates:,}"),
            ("candidates per query", f"{smallest} to {largest}, mean {mean:.1f}"),
            ("products", f"{self.products:,}"),
            ("products in several pools", f"{several:,}"),
            ("repeated inside a pool", abbreviated(map("/".join, self.repeated_in_pool))),
            ("queries without candidates", abbreviated(self.empty_pools)),
        ]
        if self.empty_queries is not None and self.duplicate_queries is not None:
            groups = [" = ".join(group) for group in self.duplicate_queries]
            rows.append(("empty queries", abbreviated(self.empty_queries)))
            rows.append(("texts of several queries", abbreviated(groups)))
        return Grid(("pools", ""), tuple(rows))


@dataclass(frozen=True)
class RelevanceCount:
    """Candidates and relevant candidates of a group of products."""

    candidates: int
    relevant: int


@dataclass(frozen=True)
class LabelLeak:
    """Label-leakage statistics; every nDCG@5 is an exact expectation over ties.

    Attributes:
        queries: queries with judgements; all means are over these.
        count_only: nDCG@5 of ranking by how few pools offer the product.
        random: nDCG@5 of random order.
        difference: 95% interval of count_only - random.
        relevance_by_pool_count: ``{pools that offer it: RelevanceCount}``.
        unreachable: ``{query id: relevant products that are not in its pool}``.
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
        """True if counting pools reliably beats random order by more than `LEAK_MARGIN`."""
        return self.difference[0] > LEAK_MARGIN

    def grid(self) -> Grid:
        """The statistics as a table."""
        low, high = self.difference
        rows = (
            ("queries with answers", f"{self.queries:,}"),
            ("nDCG@5, fewest pools first", f"{self.count_only:.4f}"),
            ("nDCG@5, random order", f"{self.random:.4f}"),
            ("difference", f"{self.count_only - self.random:.4f} [{low:.4f}, {high:.4f}]"),
            ("answers not in the pool", abbreviated(self.unreachable)),
            ("answered, but no pool", abbreviated(self.without_pool)),
            ("pool, but no answers", abbreviated(self.without_answers)),
        )
        return Grid(("answers", ""), rows)

    def relevance_grid(self) -> Grid:
        """The fraction of relevant candidates by the number of pools that offer the product."""
        groups: dict[str, list[int]] = {}
        for count, relevance in self.relevance_by_pool_count.items():
            name = str(count) if count < _MANY_POOLS else f"{_MANY_POOLS} or more"
            total = groups.setdefault(name, [0, 0])
            total[0] += relevance.candidates
            total[1] += relevance.relevant
        rows = tuple(
            (name, f"{candidates:,}", f"{relevant:,}", f"{relevant / candidates:.1%}")
            for name, (candidates, relevant) in groups.items()
        )
        return Grid(("offered by pools", "candidates", "relevant", "rate"), rows)


@dataclass(frozen=True, repr=False)
class Audit(Tabular):
    """Pool statistics and, with judgements, label-leakage statistics."""

    structure: PoolStatistics
    leak: LabelLeak | None

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        if self.leak is None:
            return "A label leak can only be measured with relevance judgements."
        method = "ranking products by how few pools offer them"
        ours, chance = self.leak.count_only, self.leak.random
        scores = f"scores nDCG@{DEPTH} {ours:.3f}, random order {chance:.3f}"
        if self.leak.leaks:
            return f"These pools LEAK: {method}, without any model, {scores}."
        unsure = f"that is not reliably more than {LEAK_MARGIN} better"
        return f"No leak found: {method} {scores}; {unsure}."

    def grids(self) -> list[Grid]:
        """All statistics."""
        if self.leak is None:
            return [self.structure.grid()]
        return [self.structure.grid(), self.leak.relevance_grid(), self.leak.grid()]

    def to_dict(self) -> dict[str, Any]:
        """The verdict and all statistics as JSON-serialisable values."""
        leak = plain(self.leak)
        for group in leak["relevance_by_pool_count"].values() if leak else ():
            group["rate"] = group["relevant"] / group["candidates"]
        leaks = self.leak and self.leak.leaks
        structure = plain(self.structure)
        return {"verdict": self.verdict, "leaks": leaks, "structure": structure, "leak": leak}

    def __repr__(self) -> str:
        return f"Audit({self.verdict!r})"


def audit(
    pools: Pools,
    qrels: Qrels | None,
    interval: Interval,
    texts: Mapping[str, str] | None = None,
) -> Audit:
    """Audit candidate pools, in which a product may occur twice.

    Args:
        interval: low and high of the mean of (Q,) values, such as
            `shopsight.metrics.evaluate.bootstrap_interval`.
        texts: ``{query id: text}``.
    """
    unique, repeated = _without_repeats(pools)
    structure = _structure(unique, repeated, texts)
    return Audit(structure, None if qrels is None else _leak(unique, qrels, interval))


def expected_dcg(gains: FloatArray, keys: IntArray, k: int = DEPTH) -> float:
    """Expected DCG@k of ordering (C,) gains by (C,) keys ascending, ties in random order.

    >>> round(expected_dcg(np.array([1.0, 0.0, 0.0]), np.array([1, 1, 2]), 2), 4)  # (1 + .6309) / 2
    0.8155
    """
    # In expectation, each position of a tie group holds the group's mean gain.
    _, group, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    means = np.bincount(group, gains, len(sizes)) / sizes
    expected = np.repeat(means, sizes)[:k]
    return float((expected / np.log2(np.arange(2, len(expected) + 2))).sum())


def _without_repeats(pools: Pools) -> tuple[Pools, list[tuple[str, str]]]:
    counts = {query: Counter(pools.of(query)) for query in pools.query_ids}
    repeated = [(q, p) for q, products in counts.items() for p, n in products.items() if n > 1]
    return Pools.from_dict(counts), repeated


def _structure(
    pools: Pools, repeated: list[tuple[str, str]], texts: Mapping[str, str] | None
) -> PoolStatistics:
    counts = Counter(Counter(pools.product_ids.tolist()).values())
    sizes = pools.sizes.tolist() or [0]
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
        pool_sizes=(min(sizes), sum(sizes) / len(sizes), max(sizes)),
        products_by_pool_count=dict(sorted(counts.items())),
        repeated_in_pool=repeated,
        empty_pools=[q for q, size in zip(pools.query_ids, sizes, strict=False) if not size],
        empty_queries=empty,
        duplicate_queries=duplicate,
    )


def _leak(pools: Pools, qrels: Qrels, interval: Interval) -> LabelLeak:
    pool_count = Counter(pools.product_ids.tolist())
    offered = pools.to_dict()
    by_count: dict[int, list[float]] = {}
    unreachable: dict[str, list[str]] = {}
    count_only, random = [], []
    for query, grades in qrels.relevance.items():
        products = offered.get(query, [])
        gains = np.array([max(grades.get(product, 0), 0) for product in products], float)
        counts = np.array([pool_count[product] for product in products], np.int64)
        ideal = _ideal_dcg(grades)
        count_only.append(expected_dcg(gains, counts) / ideal)
        random.append(expected_dcg(gains, np.zeros_like(counts)) / ideal)
        for count, gain in zip(counts.tolist(), gains.tolist(), strict=True):
            by_count.setdefault(count, []).append(gain)
        missing = {product for product, grade in grades.items() if grade > 0} - set(products)
        if missing and query in offered:
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
        without_pool=[query for query in qrels.relevance if query not in offered],
        without_answers=[query for query in pools.query_ids if query not in qrels.relevance],
    )


def _ideal_dcg(grades: Mapping[str, int]) -> float:
    """The ideal DCG@k; 1 where nothing is relevant, so that such a query scores 0."""
    gains: AnyArray = np.array(sorted(grades.values(), reverse=True)[:DEPTH], float).clip(min=0)
    return float((gains / np.log2(np.arange(2, len(gains) + 2))).sum()) or 1.0
