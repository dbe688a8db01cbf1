"""Weight vectors of a fusion, each evaluated once, and the folds of a cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gcd

import numpy as np

from shopsight.errors import UsageError
from shopsight.ranking.fusion import weighted_sum
from shopsight.types import BoolArray, FloatArray, IntArray, Run

ScoreQueries = Callable[[Run], FloatArray]
"""Returns (Q,) one value per query with judgements."""
Steps = tuple[int, ...]
"""Weights as integer numbers of steps: equal weights are equal cache keys, without rounding."""
Search = Callable[["Trials", BoolArray], Steps]
"""Finds weights for the queries (Q,) inside a mask."""


class Trials:
    """Values of weight vectors over aligned runs, cached for all searches and folds."""

    def __init__(self, runs: Sequence[Run], score_queries: ScoreQueries) -> None:
        self.runs = runs
        self._score_queries = score_queries
        self._values: dict[Steps, FloatArray] = {}

    def values(self, steps: Steps) -> FloatArray:
        """(Q,) value of each query."""
        if steps not in self._values:
            reduced = tuple(step // gcd(*steps) for step in steps)
            if reduced not in self._values:
                run = weighted_sum(self.runs, self.weights(reduced))
                self._values[reduced] = self._score_queries(run)
            self._values[steps] = self._values[reduced]
        return self._values[steps]

    def mean(self, steps: Steps, queries: BoolArray) -> float:
        """Mean value of the queries inside a mask."""
        # A product is several times as fast as an index and a mean, and most of the work is here.
        return float(self.values(steps) @ queries) / int(np.count_nonzero(queries))

    def weights(self, steps: Steps) -> tuple[float, ...]:
        """The weights, which sum to 1."""
        return tuple(step / sum(steps) for step in steps)

    def equal(self) -> Steps:
        """Equal weights of all runs."""
        return (1,) * len(self.runs)

    def best_run(self, queries: BoolArray) -> Steps:
        """The single run with the highest mean."""
        runs = range(len(self.runs))
        singles = [tuple(int(i == member) for i in runs) for member in runs]
        return max(singles, key=lambda steps: self.mean(steps, queries))


def assign_folds(queries: int, folds: int, seed: int) -> IntArray:
    """(Q,) fold of each query: equal sizes, randomly assigned. Raises UsageError for Q < 2."""
    if queries < 2:
        raise UsageError("fitting weights needs relevance judgements for at least two queries")
    return np.random.default_rng(seed).permutation(np.arange(queries) % min(folds, queries))
