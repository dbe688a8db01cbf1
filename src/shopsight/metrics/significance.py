"""Is one run better than another, or lucky? Paired randomisation tests and their letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from shopsight.config import CompareConfig, EvaluateConfig
from shopsight.errors import UsageError
from shopsight.metrics.evaluate import Evaluation, Evaluator, evaluate
from shopsight.types import FloatArray, Qrels, Run

# Signs held at once, 8 bytes each.
_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class Comparison:
    """R runs on the same queries.

    Attributes:
        evaluations: one for each run, in the order given.
        p_values: ``{metric: (R, R)}`` two-sided p-values of each pair, as they came.
        adjusted: ``{metric: (R, R)}`` the same after the correction.
        alpha: the level of significance of the letters.
        correction: "holm" or "none".
    """

    evaluations: tuple[Evaluation, ...]
    p_values: dict[str, FloatArray]
    adjusted: dict[str, FloatArray]
    alpha: float
    correction: str

    def beats(self, metric: str, run: int) -> list[int]:
        """The runs that this run beats significantly."""
        means = [one.estimates[metric].mean for one in self.evaluations]
        row = self.adjusted[metric][run]
        return [
            other
            for other in range(len(means))
            if means[run] > means[other] and row[other] < self.alpha
        ]

    def letters(self, metric: str, run: int) -> str:
        """The letters of the runs that this run beats significantly."""
        return "".join(letter(other) for other in self.beats(metric, run))


def compare(
    runs: Sequence[Run],
    qrels: Qrels,
    config: CompareConfig | None = None,
    evaluation: EvaluateConfig | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare runs pair by pair.

    Args:
        runs: at least two.
        qrels: the answers.
        config: level, sign flips, correction (over the pairs of one metric).
        evaluation: metrics and intervals.
        seed: of bootstrap and sign flips.

    Raises:
        UsageError: fewer than two runs; an unknown metric; settings out of range.
    """
    config = config or CompareConfig()
    if len(runs) < 2:
        raise UsageError("a comparison needs at least two runs")
    if not 0 < config.alpha < 1 or config.permutations < 1:
        raise UsageError("alpha must be between 0 and 1, and permutations at least 1")
    judge = Evaluator(qrels)
    evaluations = tuple(evaluate(run, qrels, evaluation, seed, judge) for run in runs)
    raw, adjusted = {}, {}
    for metric in evaluations[0].per_query:
        pairs = list(combinations(range(len(runs)), 2))
        p_values = [
            randomisation_test(
                evaluations[i].per_query[metric],
                evaluations[j].per_query[metric],
                config.permutations,
                seed,
            )
            for i, j in pairs
        ]
        raw[metric] = _symmetric(p_values, pairs, len(runs))
        corrected = holm(p_values) if config.correction == "holm" else p_values
        adjusted[metric] = _symmetric(corrected, pairs, len(runs))
    return Comparison(evaluations, raw, adjusted, config.alpha, config.correction)


def randomisation_test(
    first: FloatArray, second: FloatArray, permutations: int = 10_000, seed: int = 0
) -> float:
    """Two-sided p-value of a paired randomisation (sign-flip) test of the mean difference.

    Under the null hypothesis each query's difference could as well have had the other sign. All
    2^n sign patterns of the n differing queries are enumerated where there are no more than
    ``permutations``; else that many are drawn and p = (1 + as extreme) / (1 + drawn).

    Source: Smucker, Allan, Carterette, *A comparison of statistical significance tests for
    information retrieval evaluation*, 2007.

    Args:
        first: (Q,) values of one run.
        second: (Q,) values of the other, of the same queries.
        permutations: sign patterns to draw.
        seed: of the draws.

    >>> randomisation_test(np.array([1.0, 1.0, 1.0]), np.zeros(3))  # 2 of 8 sign patterns
    0.25
    """
    difference = first - second
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
    """Holm's step-down correction: the family-wise error stays below the level.

    Source: Holm, *A simple sequentially rejective multiple test procedure*, 1979.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values, np.float64)[order] * (len(p_values) - np.arange(len(p_values)))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(p) for p in adjusted]


def letter(place: int) -> str:
    """The letter of a run by its place, from 0: a, b, ..., z, aa, ab, ...

    >>> letter(0), letter(25), letter(26)
    ('a', 'z', 'aa')
    """
    name = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        name = chr(ord("a") + rest) + name
    return name


def _symmetric(values: Sequence[float], pairs: list[tuple[int, int]], size: int) -> FloatArray:
    table = np.ones((size, size))
    for value, (i, j) in zip(values, pairs, strict=True):
        table[i, j] = table[j, i] = value
    return table
