"""Fusion weights fitted to answers, and what they are worth on queries they never saw.

The judge is passed in, ``score_queries: Callable[[Run], FloatArray]``, one value for each query
with answers. In-sample and held-out searches share what was evaluated.
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
# Weights as whole numbers of steps, so that equal weights are equal keys.
Steps = tuple[int, ...]
Search = Callable[["_Trials", BoolArray], Steps]


@dataclass(frozen=True, eq=False)
class FittedWeights:
    """Weights, and what they are worth.

    Attributes:
        weights: one for each run, summing to 1.
        in_sample: (Q,) values of the queries the weights were fitted on.
        held_out: (Q,) the value of each query under weights fitted without its fold.
        fold_weights: the weights that each fold was judged with.
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
    """Find the weights with the best mean value, and cross-fit them for the honest figure.

    ``grid`` is the reference's search: t * first + (1 - t) * second for t = 0, 1/steps, ..., 1,
    and the first t that is best. ``coordinate`` moves weight from one run to another as long
    as that helps, in ever smaller steps down to 1/steps, starting from every single run and
    from equal weights; so the result is never worse, in sample, than the best member. ``rrf``
    fits nothing: its weights are equal.

    Args:
        runs: at least two.
        score_queries: (Q,) one value for each query with answers, 0 for one not ranked.
        config: method, normalisation, steps, folds.
        seed: of the assignment of queries to folds.

    Raises:
        UsageError: fewer than two runs, fewer than two queries, a grid over more than two.
    """
    config = config or FusionConfig()
    search = _search(config, len(runs))
    trials = _Trials(fusion_terms(align(runs).runs, config), score_queries, config.steps)
    fold_of = _folds(len(trials.values(trials.equal())), config.folds, seed)
    held_out = np.empty(len(fold_of))
    chosen = []
    for fold in range(int(fold_of.max()) + 1):
        inside = fold_of == fold
        best = search(trials, ~inside)
        held_out[inside] = trials.values(best)[inside]
        chosen.append(trials.weights(best))
    best = search(trials, np.ones(len(fold_of), bool))
    return FittedWeights(trials.weights(best), trials.values(best), held_out, tuple(chosen))


class _Trials:
    """Weights that were tried, each evaluated once."""

    def __init__(self, runs: Sequence[Run], score_queries: ScoreQueries, steps: int) -> None:
        self.runs, self.steps = runs, steps
        self._score_queries = score_queries
        self._values: dict[Steps, FloatArray] = {}

    def values(self, weights: Steps) -> FloatArray:
        """(Q,) value of each query."""
        if weights not in self._values:
            self._values[weights] = self._score_queries(
                weighted_sum(self.runs, self.weights(weights))
            )
        return self._values[weights]

    def mean(self, weights: Steps, queries: BoolArray) -> float:
        return float(self.values(weights)[queries].mean())

    def weights(self, steps: Steps) -> tuple[float, ...]:
        return tuple(one / sum(steps) for one in steps)

    def single(self, run: int) -> Steps:
        return tuple(self.steps if i == run else 0 for i in range(len(self.runs)))

    def equal(self) -> Steps:
        return (1,) * len(self.runs)


def _search(config: FusionConfig, runs: int) -> Search:
    if runs < 2:
        raise UsageError("fusion needs at least two runs")
    method = config.method
    if method == "auto":
        method = "grid" if runs == 2 else "coordinate"
    if method == "grid" and runs != 2:
        raise UsageError(f"the grid is for two runs, not {runs}; use --method coordinate")
    return {"grid": _grid, "coordinate": _coordinate, "rrf": _equal}[method]


def _equal(trials: _Trials, queries: BoolArray) -> Steps:  # noqa: ARG001
    return trials.equal()


def _grid(trials: _Trials, queries: BoolArray) -> Steps:
    grid = [(t, trials.steps - t) for t in range(trials.steps + 1)]
    return grid[int(np.argmax([trials.mean(weights, queries) for weights in grid]))]


def _coordinate(trials: _Trials, queries: BoolArray) -> Steps:
    starts = [trials.single(run) for run in range(len(trials.runs))] + [_near_equal(trials)]
    coarse = max(trials.steps // 10, 1)
    ends = [_climb(trials, queries, start, coarse) for start in starts]
    best = max(ends, key=lambda weights: trials.mean(weights, queries))
    step = coarse
    while step > 1:
        step = max(step // 2, 1)
        best = _climb(trials, queries, best, step)
    return best


def _climb(trials: _Trials, queries: BoolArray, weights: Steps, step: int) -> Steps:
    """Move ``step`` from one run to another, the best such move each time, while it helps."""
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


def _near_equal(trials: _Trials) -> Steps:
    share, rest = divmod(trials.steps, len(trials.runs))
    return tuple(share + (run < rest) for run in range(len(trials.runs)))


def _folds(queries: int, folds: int, seed: int) -> IntArray:
    """(Q,) the fold of each query: equal sizes, drawn by ``seed``."""
    if queries < 2:
        raise UsageError("fitting weights needs answers for at least two queries")
    fold_of = np.arange(queries) % min(folds, queries)
    return np.random.default_rng(seed).permutation(fold_of)
