"""Fitted fusion weights with in-sample and cross-validated scores.

``score_queries: Callable[[Run], FloatArray]`` returns one value per query with judgements. The
in-sample search and the searches of all folds share one cache of evaluated weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from shopsight.config import FusionConfig
from shopsight.errors import UsageError
from shopsight.ranking.fusion import fusion_terms, weighted_sum
from shopsight.ranking.run import align
from shopsight.types import BoolArray, FloatArray, IntArray, Run

ScoreQueries = Callable[[Run], FloatArray]
# Weights as integer numbers of steps: equal weights are equal cache keys, without rounding.
Steps = tuple[int, ...]
Search = Callable[["_Trials", BoolArray], Steps]


@dataclass(frozen=True, eq=False)
class FittedWeights:
    """Fusion weights, which sum to 1, with their (Q,) values on the queries they were fitted on.

    ``held_out`` has the value of each query under the weights that were fitted without its fold.
    """

    weights: tuple[float, ...]
    in_sample: FloatArray
    held_out: FloatArray
    fold_weights: tuple[tuple[float, ...], ...]


def fit_weights(
    runs: Sequence[Run],
    score_queries: ScoreQueries,
    config: FusionConfig | None = None,
    seed: int = 0,
) -> FittedWeights:
    """Find the weights with the best mean value, and cross-validate them.

    ``grid`` is the reference's search: t * first + (1 - t) * second for t = 0, 1/steps, ..., 1,
    taking the first best t. ``coordinate`` moves weight from one run to another as long as that
    helps, in ever smaller steps down to 1/steps, starting from every single run and from equal
    weights; in sample, the result is therefore never worse than the best single run. ``rrf`` fits
    nothing: its weights are equal. ``seed`` assigns queries to folds.

    Raises:
        UsageError: fewer than two runs or two queries, or a grid over more than two runs.
    """
    config = config or FusionConfig()
    search = _search(config, len(runs))
    trials = _Trials(fusion_terms(align(runs).runs, config), score_queries, config.steps)
    fold_idx = _folds(len(trials.values(trials.equal())), config.folds, seed)
    held_out = np.empty(len(fold_idx))
    fold_weights = []
    for fold in range(int(fold_idx.max()) + 1):
        inside = fold_idx == fold
        best = search(trials, ~inside)
        held_out[inside] = trials.values(best)[inside]
        fold_weights.append(trials.weights(best))
    best = search(trials, np.ones(len(fold_idx), bool))
    return FittedWeights(trials.weights(best), trials.values(best), held_out, tuple(fold_weights))


class _Trials:
    """Evaluated weights, each evaluated once."""

    def __init__(self, runs: Sequence[Run], score_queries: ScoreQueries, steps: int) -> None:
        self.runs, self.steps = runs, steps
        self._score_queries = score_queries
        self._values: dict[Steps, FloatArray] = {}

    def values(self, steps: Steps) -> FloatArray:
        """(Q,) value of each query."""
        if steps not in self._values:
            run = weighted_sum(self.runs, self.weights(steps))
            self._values[steps] = self._score_queries(run)
        return self._values[steps]

    def mean(self, steps: Steps, queries: BoolArray) -> float:
        return float(self.values(steps)[queries].mean())

    def weights(self, steps: Steps) -> tuple[float, ...]:
        return tuple(step / sum(steps) for step in steps)

    def equal(self) -> Steps:
        return (1,) * len(self.runs)


def _search(config: FusionConfig, runs: int) -> Search:
    if runs < 2:
        raise UsageError("fusion needs at least two runs")
    if config.method == "grid" and runs != 2:
        raise UsageError(f"the grid is for two runs, not {runs}; use --method coordinate")
    automatic = _grid if runs == 2 else _coordinate
    searches: dict[str, Search] = {"grid": _grid, "coordinate": _coordinate, "auto": automatic}
    return searches.get(config.method, lambda trials, _: trials.equal())


def _grid(trials: _Trials, queries: BoolArray) -> Steps:
    grid = [(t, trials.steps - t) for t in range(trials.steps + 1)]
    return grid[int(np.argmax([trials.mean(steps, queries) for steps in grid]))]


def _coordinate(trials: _Trials, queries: BoolArray) -> Steps:
    # The objective is piecewise constant: several starts and coarse steps first, because small
    # steps alone get stuck where no ranking changes.
    runs = len(trials.runs)
    quotient, rest = divmod(trials.steps, runs)
    starts = [tuple(trials.steps * (i == best) for i in range(runs)) for best in range(runs)]
    starts.append(tuple(quotient + (i < rest) for i in range(runs)))
    step = max(trials.steps // 10, 1)
    ends = [_climb(trials, queries, start, step) for start in starts]
    best = max(ends, key=lambda steps: trials.mean(steps, queries))
    while step > 1:
        step = max(step // 2, 1)
        best = _climb(trials, queries, best, step)
    return best


def _climb(trials: _Trials, queries: BoolArray, weights: Steps, step: int) -> Steps:
    """Repeat the best move of ``step`` from one run to another while it helps."""
    best = trials.mean(weights, queries)
    while True:
        moves = [
            _moved(weights, source, target, min(step, weights[source]))
            for source, target in permutations(range(len(weights)), 2)
            if weights[source]
        ]
        values = [trials.mean(move, queries) for move in moves]
        if max(values) <= best:
            return weights
        best = max(values)
        weights = moves[values.index(best)]


def _moved(weights: Steps, source: int, target: int, step: int) -> Steps:
    changed = list(weights)
    changed[source] -= step
    changed[target] += step
    return tuple(changed)


def _folds(queries: int, folds: int, seed: int) -> IntArray:
    """(Q,) fold of each query: equal sizes, randomly assigned."""
    if queries < 2:
        raise UsageError("fitting weights needs relevance judgements for at least two queries")
    return np.random.default_rng(seed).permutation(np.arange(queries) % min(folds, queries))
