"""Significance tests for run comparisons: paired randomisation, corrected for many tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from shopsight.config import CompareConfig, EvaluateConfig
from shopsight.errors import UsageError, pluralise
from shopsight.metrics.evaluate import Evaluation, evaluate, make_evaluator
from shopsight.metrics.power import detectable_effect, needed_queries
from shopsight.tables import Grid, Tabular
from shopsight.types import FloatArray, Qrels, Run

# Sign patterns held at once, 8 bytes per sign.
_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Tabular):
    """R runs on the same queries: two-sided p-values of all pairs, ``{metric: (R, R)}``.

    ``adjusted`` has them corrected for multiple tests; ``config`` is what was asked for.
    """

    evaluations: tuple[Evaluation, ...]
    p_values: dict[str, FloatArray]
    adjusted: dict[str, FloatArray]
    config: CompareConfig

    def detectable(self, metric: str) -> float:
        """Smallest difference of a typical pair that the test finds; see `detectable_effect`.

        Typical is the median over the pairs that differ; nan if none does.
        """
        effects = [
            detectable_effect(difference, self.config.alpha, self.config.power)
            for difference in self._differences(metric)
        ]
        return float(np.median(effects)) if effects else float("nan")

    def needed(self, metric: str) -> int:
        """Queries at which the planned effect of the settings is found for a typical pair."""
        config = self.config
        counts = [
            needed_queries(difference, config.effect, self.config.alpha, config.power)
            for difference in self._differences(metric)
        ]
        return int(np.median(counts)) if counts else 0

    def _differences(self, metric: str) -> list[FloatArray]:
        values = [evaluation.per_query[metric] for evaluation in self.evaluations]
        pairs = (a - b for a, b in combinations(values, 2))
        return [difference for difference in pairs if len(difference) > 1 and difference.any()]

    def beats(self, metric: str, run_idx: int) -> list[int]:
        """Indices of the runs that a run beats significantly."""
        means = [evaluation.estimates[metric].mean for evaluation in self.evaluations]
        p_values = self.adjusted[metric][run_idx]
        return [
            other
            for other, mean in enumerate(means)
            if means[run_idx] > mean and p_values[other] < self.config.alpha
        ]

    def letters(self, metric: str, run_idx: int) -> str:
        """The letters of the runs that a run beats significantly."""
        return "".join(letter(other) for other in self.beats(metric, run_idx))

    def grids(self) -> list[Grid]:
        """A row per run: means with the letters of the runs it beats, and intervals."""
        rows = []
        for i, evaluation in enumerate(self.evaluations):
            cells = [f"{letter(i)}  {evaluation.name}"]
            for metric, row in evaluation.estimates.items():
                letters = self.letters(metric, i)
                cells.append(f"{row.mean:.4f} {letters:<1} [{row.low:.4f}, {row.high:.4f}]")
            rows.append(tuple(cells))
        note = (
            f"Letters: the runs that this one beats (paired randomisation test,"
            f" p < {self.config.alpha:g}, {self.config.correction} correction);"
            f" brackets: {self.evaluations[0].confidence:.0%} bootstrap interval. {self.power_note}"
        )
        if self.evaluations[0].note:
            note += f" {self.evaluations[0].note}"
        return [Grid(("run", *self.adjusted), tuple(rows), note)]

    @property
    def power_note(self) -> str:
        """What differences the queries can show, in words."""
        metric, queries = next(iter(self.adjusted)), len(self.evaluations[0].query_ids)
        effect = self.detectable(metric)
        if np.isnan(effect):
            return "The runs do not differ."
        note = f"With {pluralise(queries, 'query', 'queries')}, a difference in {metric} above"
        note += f" {effect:.3f} is found with {self.config.power:.0%} power."
        if self.config.effect:
            note += (
                f" A difference of {self.config.effect:g} needs {self.needed(metric):,} queries."
            )
        return note

    def records(self) -> list[dict[str, Any]]:
        """A row per run and metric: run, metric, mean, low, high, queries, beats."""
        beats = self.to_dict()["beats"]
        return [
            {"run": evaluation.name, **row, "beats": beats[row["metric"]][evaluation.name]}
            for evaluation in self.evaluations
            for row in evaluation.records()
        ]

    def to_dict(self) -> dict[str, Any]:
        """Scores of each run, the runs that each run beats, and every pairwise test."""
        names = [evaluation.name for evaluation in self.evaluations]
        return {
            "runs": {evaluation.name: evaluation.to_dict() for evaluation in self.evaluations},
            "beats": {
                metric: {
                    name: [names[other] for other in self.beats(metric, i)]
                    for i, name in enumerate(names)
                }
                for metric in self.adjusted
            },
            "detectable": {metric: _finite(self.detectable(metric)) for metric in self.adjusted},
            "tests": [
                {
                    "metric": metric,
                    "runs": [names[i], names[j]],
                    "p": float(self.p_values[metric][i, j]),
                    "p_adjusted": float(self.adjusted[metric][i, j]),
                }
                for metric in self.adjusted
                for i, j in combinations(range(len(names)), 2)
            ],
        }

    def __repr__(self) -> str:
        names = ", ".join(evaluation.name for evaluation in self.evaluations)
        return f"Comparison({names}: {', '.join(self.adjusted)})"


def compare(
    runs: Sequence[Run],
    qrels: Qrels,
    config: CompareConfig | None = None,
    evaluation: EvaluateConfig | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare runs pair by pair with `randomisation_test`, corrected over the pairs of a metric.

    Raises:
        UsageError: fewer than two runs; an unknown metric; settings out of range.
    """
    config = config or CompareConfig()
    if len(runs) < 2:
        raise UsageError("a comparison needs at least two runs")
    if not 0 < config.alpha < 1 or not 0 < config.power < 1 or config.permutations < 1:
        raise UsageError("alpha and power must be between 0 and 1, and permutations at least 1")
    if not config.effect >= 0:
        raise UsageError(f"effect must be at least 0, not {config.effect}")
    evaluator = make_evaluator(qrels, evaluation or EvaluateConfig())
    evaluations = tuple(evaluate(run, qrels, evaluation, seed, evaluator) for run in runs)
    pairs = list(combinations(range(len(runs)), 2))
    raw, adjusted = {}, {}
    for metric in evaluations[0].per_query:
        values = [evaluation.per_query[metric] for evaluation in evaluations]
        p_values = [
            randomisation_test(values[i], values[j], config.permutations, seed) for i, j in pairs
        ]
        raw[metric] = _symmetric(p_values, pairs, len(runs))
        adjusted[metric] = _symmetric(_CORRECTIONS[config.correction](p_values), pairs, len(runs))
    return Comparison(evaluations, raw, adjusted, config)


def randomisation_test(
    first: FloatArray, second: FloatArray, permutations: int = 10_000, seed: int = 0
) -> float:
    """Two-sided p-value of a paired randomisation (sign-flip) test of the mean difference.

    Under the null hypothesis each query's difference could equally have had the other sign. All
    2^n sign patterns of the n differing queries are enumerated if there are at most
    ``permutations``; otherwise that many are drawn and p = (1 + as extreme) / (1 + drawn).

    Source: Smucker, Allan, Carterette, *A comparison of statistical significance tests for
    information retrieval evaluation*, CIKM 2007.

    >>> randomisation_test(np.array([1.0, 1.0, 1.0]), np.zeros(3))  # 2 of 8 sign patterns
    0.25
    """
    difference = first - second
    # Queries with equal values contribute 0 under either sign.
    difference = difference[difference != 0]
    if not len(difference):
        return 1.0
    # Sums in another order differ in the last bits; they must still count as equal.
    bound = abs(difference.sum()) - 1e-9 * np.abs(difference).sum()
    if len(difference) < 60 and 2 ** len(difference) <= permutations:
        patterns = np.arange(2 ** len(difference))[:, None] >> np.arange(len(difference)) & 1
        sums = 2.0 * (patterns @ difference) - difference.sum()
        return float((np.abs(sums) >= bound).mean())
    generator = np.random.default_rng(seed)
    extreme = 0
    step = max(_CHUNK // len(difference), 1)
    for start in range(0, permutations, step):
        count = min(step, permutations - start)
        bits = generator.integers(0, 2, (count, len(difference)), np.int8).astype(np.float64)
        sums = 2.0 * (bits @ difference) - difference.sum()
        extreme += int((np.abs(sums) >= bound).sum())
    return (1 + extreme) / (1 + permutations)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, which bounds the family-wise error rate.

    Source: Holm, *A simple sequentially rejective multiple test procedure*, 1979.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values, np.float64)[order] * (len(p_values) - np.arange(len(p_values)))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(p) for p in adjusted]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's step-up correction, which bounds the false discovery rate.

    Source: Benjamini, Hochberg, *Controlling the false discovery rate*, 1995.

    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    [0.03, 0.04, 0.04]
    """
    count = len(p_values)
    order = np.argsort(p_values, kind="stable")[::-1]
    scaled = np.asarray(p_values, np.float64)[order] * count / np.arange(count, 0, -1)
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled), 1.0)
    return [float(p) for p in adjusted]


def letter(run_idx: int) -> str:
    """The letter of a run by its index: a, b, ..., z, aa, ab, ...

    >>> letter(0), letter(25), letter(26)
    ('a', 'z', 'aa')
    """
    # Bijective base 26 has no zero digit, hence the - 1.
    before, digit = divmod(run_idx, 26)
    return (letter(before - 1) if before else "") + chr(ord("a") + digit)


_CORRECTIONS: dict[str, Callable[[Sequence[float]], list[float]]] = {
    "holm": holm,
    "benjamini-hochberg": benjamini_hochberg,
    "none": list,
}


def _finite(value: float) -> float | None:
    return None if np.isnan(value) else value


def _symmetric(values: Sequence[float], pairs: list[tuple[int, int]], size: int) -> FloatArray:
    table = np.ones((size, size))
    for value, (i, j) in zip(values, pairs, strict=True):
        table[i, j] = table[j, i] = value
    return table
