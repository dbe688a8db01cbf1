"""Evaluation of a run: per-query metrics, means and bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from shopsight.config import EvaluateConfig
from shopsight.errors import UsageError
from shopsight.metrics.gain import Hits, parse_metric
from shopsight.ranking.run import ranks
from shopsight.tables import Grid, Tabular
from shopsight.types import FloatArray, IntArray, Pools, Qrels, Run

# Resampled values held at once, 8 bytes each: they fit into the processor's cache.
_CHUNK = 1 << 17


@dataclass(frozen=True)
class Estimate:
    """A mean over queries with its bootstrap interval."""

    mean: float
    low: float
    high: float
    queries: int


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Tabular):
    """The scores of a run on the Q queries with judgements; ``per_query`` is ``{metric: (Q,)}``.

    Attributes:
        unranked: queries with judgements that the run does not rank; they count as 0.
        ignored: queries of the run that have no judgements.
        without_relevant: queries without a relevant product; they count as 0.
    """

    name: str
    query_ids: tuple[str, ...]
    per_query: dict[str, FloatArray]
    estimates: dict[str, Estimate]
    confidence: float
    unranked: tuple[str, ...]
    ignored: tuple[str, ...]
    without_relevant: tuple[str, ...]
    note: str = ""

    def __getitem__(self, metric: str) -> float:
        return self.estimates[metric].mean

    def grids(self) -> list[Grid]:
        """A row per metric: mean, interval, queries."""
        return [estimates_grid("metric", self.estimates, self.confidence, self.note)]

    def records(self) -> list[dict[str, Any]]:
        """A row per metric: metric, mean, low, high, queries."""
        return [{"metric": name, **values} for name, values in self.to_dict().items()]

    def to_dict(self) -> dict[str, Any]:
        """The means as ``{metric: {"mean": ..., "low": ..., "high": ..., "queries": n}}``."""
        return {name: asdict(estimate) for name, estimate in self.estimates.items()}

    def __repr__(self) -> str:
        means = ", ".join(f"{name} {row.mean:.4f}" for name, row in self.estimates.items())
        return f"Evaluation({self.name!r}: {means})"


class Evaluator:
    """Evaluates runs against the relevance judgements of Q queries.

    What depends on the candidates alone is cached for as long as a run's ``pools`` object lives, so
    that many score vectors over the same pools cost only a sort each.
    """

    def __init__(self, qrels: Qrels, *, at_least: int = 1, condensed: bool = False) -> None:
        self.query_ids = tuple(qrels.relevance)
        self._qrels, self._at_least, self._condensed = qrels, at_least, condensed
        self._cache: WeakKeyDictionary[Pools, IntArray] = WeakKeyDictionary()
        ideal = [
            sorted((grade for grade in grades.values() if grade > 0), reverse=True)
            for grades in qrels.relevance.values()
        ]
        self.relevant: IntArray = np.array([len(grades) for grades in ideal], np.int64)
        self._ideal_query = np.repeat(np.arange(len(ideal)), self.relevant)
        self._ideal_gain = np.array([grade for grades in ideal for grade in grades], np.float64)
        first = np.cumsum(self.relevant) - self.relevant
        self._ideal_rank = np.arange(len(self._ideal_gain)) - first[self._ideal_query] + 1

    def per_query(self, run: Run, metric: str) -> FloatArray:
        """(Q,) value of each query under a metric; 0 for queries that are not ranked."""
        return parse_metric(metric)(self.hits(run))

    def hits(self, run: Run) -> Hits:
        """The ranks of the relevant products."""
        if run.pools not in self._cache:
            self._cache[run.pools] = _judged_candidates(run.pools, self._qrels)
        position, query, grade = self._cache[run.pools]
        rank = ranks(run)[position]
        order = np.lexsort((rank, query))
        query, rank, grade = query[order], rank[order], grade[order]
        if self._condensed:
            rank = np.arange(len(rank)) - np.searchsorted(query, query) + 1
        hits = grade > 0
        found = query[hits], rank[hits], grade[hits].astype(np.float64)
        ideal = self._ideal_query, self._ideal_rank, self._ideal_gain
        return Hits(*found, self.relevant, *ideal, query, rank, self._at_least)


def evaluate(
    run: Run,
    qrels: Qrels,
    config: EvaluateConfig | None = None,
    seed: int = 0,
    evaluator: Evaluator | None = None,
) -> Evaluation:
    """Score a run; means are over all queries of the judgements, ranked or not.

    ``evaluator``, of the same ``qrels``, shares its cache among runs.

    Raises:
        UsageError: an unknown metric; settings out of range.

    >>> run = Run.from_dict({"q": {"a": 0.9, "b": 0.5}})
    >>> evaluate(run, Qrels({"q": {"b": 1}}), EvaluateConfig(("mrr",)))
    Evaluation('run': mrr 0.5000)
    """
    config = config or EvaluateConfig()
    evaluator = evaluator or make_evaluator(qrels, config)
    metrics = [parse_metric(name, config.gain) for name in config.metrics]
    hits = evaluator.hits(run)
    per_query = {str(metric): metric(hits) for metric in metrics}
    ranked, judged = set(run.pools.query_ids), set(evaluator.query_ids)
    counts = zip(evaluator.query_ids, hits.binary.relevant, strict=True)
    return Evaluation(
        name=run.name,
        query_ids=evaluator.query_ids,
        per_query=per_query,
        estimates=estimate(per_query, config, seed),
        confidence=config.confidence,
        unranked=tuple(query for query in evaluator.query_ids if query not in ranked),
        ignored=tuple(query for query in run.pools.query_ids if query not in judged),
        without_relevant=tuple(query for query, relevant in counts if not relevant),
        note=config.note,
    )


def make_evaluator(qrels: Qrels, config: EvaluateConfig) -> Evaluator:
    """An evaluator with the settings of how judgements count."""
    return Evaluator(qrels, at_least=config.at_least, condensed=config.condensed)


def estimate(
    per_query: Mapping[str, FloatArray], config: EvaluateConfig | None = None, seed: int = 0
) -> dict[str, Estimate]:
    """Means and intervals of per-query values, all from the same resamples of the queries."""
    if not per_query:
        return {}
    config = config or EvaluateConfig()
    table = np.stack(list(per_query.values()))
    lows, highs = _bootstrap(table, config.resamples, config.confidence, seed)
    return {
        name: Estimate(float(row.mean()), float(low), float(high), len(row))
        for name, row, low, high in zip(per_query, table, lows, highs, strict=True)
    }


def estimates_grid(
    heading: str, estimates: Mapping[str, Estimate], confidence: float, note: str = ""
) -> Grid:
    """A row per named estimate: mean, interval, queries."""
    rows = tuple(
        (name, f"{row.mean:.4f}", f"[{row.low:.4f}, {row.high:.4f}]", f"{row.queries:,}")
        for name, row in estimates.items()
    )
    return Grid((heading, "mean", f"{confidence:.0%} interval", "queries"), rows, note)


def bootstrap_interval(
    values: FloatArray, config: EvaluateConfig | None = None, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of (Q,) values.

    Source: Efron, Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13.
    """
    interval = estimate({"": values}, config, seed)[""]
    return interval.low, interval.high


def _judged_candidates(pools: Pools, qrels: Qrels) -> IntArray:
    """(3, J) position, query index in the judgements and grade of the judged candidates."""
    query_idx = {query: i for i, query in enumerate(qrels.relevance)}
    products, bounds = pools.product_ids.tolist(), pools.offsets.tolist()
    rows: list[tuple[int, int, int]] = []
    for query, start, end in zip(pools.query_ids, bounds[:-1], bounds[1:], strict=True):
        if query in query_idx:
            position = dict(zip(products[start:end], range(start, end), strict=True))
            rows += [
                (position[product], query_idx[query], grade)
                for product, grade in qrels.relevance[query].items()
                if product in position
            ]
    return np.array(rows, np.int64).reshape(-1, 3).T


def _bootstrap(
    table: FloatArray, resamples: int, confidence: float, seed: int
) -> tuple[Sequence[float], Sequence[float]]:
    """Bounds of the row means of ``table`` (M, Q), in bounded memory."""
    if resamples < 1 or not 0 < confidence < 1:
        raise UsageError("an interval needs at least 1 resample and a confidence between 0 and 1")
    queries = table.shape[1]
    generator = np.random.default_rng(seed)
    means = np.empty((len(table), resamples))
    step = max(_CHUNK // max(queries, 1), 1)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        sample = generator.integers(0, queries, (count, queries))
        # The same resample for every metric keeps their intervals comparable.
        for row, values in enumerate(table):
            means[row, start : start + count] = values.take(sample).mean(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=1)
    return low, high
