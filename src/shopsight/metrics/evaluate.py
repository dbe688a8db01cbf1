"""A run against answers: each metric per query, its mean, and an interval for the mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from shopsight.config import EvaluateConfig
from shopsight.errors import UsageError
from shopsight.metrics.gain import Hits, parse_metric
from shopsight.ranking.run import ranks
from shopsight.types import FloatArray, IntArray, Pools, Qrels, Run

# Resampled values held at once, 8 bytes each: what fits the processor's cache.
_CHUNK = 1 << 17


@dataclass(frozen=True)
class Estimate:
    """A mean over queries with its bootstrap interval."""

    mean: float
    low: float
    high: float
    queries: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a run scores.

    Attributes:
        name: the run's name.
        query_ids: (Q,) the queries with answers.
        per_query: ``{metric: (Q,)}``.
        estimates: ``{metric: Estimate}``.
        unranked: queries with answers that the run does not rank; they count as 0.
        ignored: queries of the run that have no answers.
        without_relevant: queries whose answers hold nothing relevant; they count as 0.
    """

    name: str
    query_ids: tuple[str, ...]
    per_query: dict[str, FloatArray]
    estimates: dict[str, Estimate]
    unranked: tuple[str, ...]
    ignored: tuple[str, ...]
    without_relevant: tuple[str, ...]


class Evaluator:
    """Values of runs under one set of answers.

    What depends on the candidates alone is kept for as long as a run's ``pools`` object lives,
    so that many score vectors over the same pools cost a sort each.

    Args:
        qrels: the answers, Q queries.
    """

    def __init__(self, qrels: Qrels) -> None:
        self.query_ids = tuple(qrels.relevance)
        self._qrels = qrels
        self._known: WeakKeyDictionary[Pools, _Judged] = WeakKeyDictionary()
        grades = [
            sorted((grade for grade in judged.values() if grade > 0), reverse=True)
            for judged in qrels.relevance.values()
        ]
        self.relevant: IntArray = np.array([len(one) for one in grades], np.int64)
        self._ideal_query = np.repeat(np.arange(len(grades)), self.relevant)
        self._ideal_gain = np.array([grade for one in grades for grade in one], np.float64)
        first = np.cumsum(self.relevant) - self.relevant
        self._ideal_place = np.arange(len(self._ideal_gain)) - first[self._ideal_query] + 1

    def per_query(self, run: Run, metric: str) -> FloatArray:
        """(Q,) value of each query with answers under one metric; 0 where not ranked."""
        return parse_metric(metric)(self.hits(run))

    def hits(self, run: Run) -> Hits:
        """Where the run put the relevant products."""
        judged = self._known.get(run.pools)
        if judged is None:
            judged = self._known[run.pools] = _judge(run.pools, self._qrels)
        place = ranks(run)[judged.candidate]
        order = np.lexsort((place, judged.query))
        return Hits(
            judged.query[order],
            place[order],
            judged.gain[order],
            self.relevant,
            self._ideal_query,
            self._ideal_place,
            self._ideal_gain,
        )


def evaluate(
    run: Run,
    qrels: Qrels,
    config: EvaluateConfig | None = None,
    seed: int = 0,
    judge: Evaluator | None = None,
) -> Evaluation:
    """Score a run; means are over the queries of the answers.

    Args:
        run: the scores.
        qrels: the answers. A query that the run does not rank counts as 0.
        config: metrics, bootstrap resamples, confidence.
        seed: of the bootstrap.
        judge: a judge of the same ``qrels``, to share its work among runs.

    Raises:
        UsageError: an unknown metric; settings out of range.

    >>> run = Run.from_dict({"q": {"a": 0.9, "b": 0.5}})
    >>> evaluate(run, Qrels({"q": {"b": 1}}), EvaluateConfig(("mrr",))).estimates["mrr"].mean
    0.5
    """
    config = config or EvaluateConfig()
    judge = judge or Evaluator(qrels)
    metrics = [parse_metric(name) for name in config.metrics]
    hits = judge.hits(run)
    values = {str(metric): metric(hits) for metric in metrics}
    ranked, judged = set(run.pools.query_ids), set(judge.query_ids)
    return Evaluation(
        name=run.name,
        query_ids=judge.query_ids,
        per_query=values,
        estimates=estimate(values, config, seed),
        unranked=tuple(query for query in judge.query_ids if query not in ranked),
        ignored=tuple(query for query in run.pools.query_ids if query not in judged),
        without_relevant=tuple(
            query for query, n in zip(judge.query_ids, judge.relevant, strict=True) if not n
        ),
    )


def estimate(
    values: dict[str, FloatArray], config: EvaluateConfig | None = None, seed: int = 0
) -> dict[str, Estimate]:
    """Means and intervals of per-query values, all from the same resamples of the queries."""
    if not values:
        return {}
    config = config or EvaluateConfig()
    table = np.stack(list(values.values()))
    lows, highs = _bootstrap(table, config.resamples, config.confidence, seed)
    return {
        name: Estimate(float(row.mean()), float(low), float(high), len(row))
        for name, row, low, high in zip(values, table, lows, highs, strict=True)
    }


def bootstrap_interval(
    values: FloatArray, config: EvaluateConfig | None = None, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of (Q,) values.

    Source: Efron, Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13.
    """
    one = estimate({"": values}, config, seed)[""]
    return one.low, one.high


@dataclass(frozen=True, eq=False)
class _Judged:
    """The relevant candidates of some pools: position, query among the answers, grade."""

    candidate: IntArray
    query: IntArray
    gain: FloatArray


def _judge(pools: Pools, qrels: Qrels) -> _Judged:
    asked = {query: i for i, query in enumerate(qrels.relevance)}
    products, bounds = pools.product_ids.tolist(), pools.offsets.tolist()
    found: list[tuple[int, int, int]] = []
    for query, start, end in zip(pools.query_ids, bounds[:-1], bounds[1:], strict=True):
        if query in asked:
            grades = qrels.relevance[query]
            found += [
                (position, asked[query], grades[products[position]])
                for position in range(start, end)
                if grades.get(products[position], 0) > 0
            ]
    table = np.array(found, np.int64).reshape(-1, 3)
    return _Judged(table[:, 0], table[:, 1], table[:, 2].astype(np.float64))


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
        drawn = generator.integers(0, queries, (count, queries))
        for row, values in enumerate(table):
            means[row, start : start + count] = values.take(drawn).mean(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=1)
    return low, high
