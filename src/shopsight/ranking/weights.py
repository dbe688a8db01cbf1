"""Fitted fusion weights with in-sample and cross-validated scores.

The in-sample search and the searches of all folds share one cache of evaluated weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations

import numpy as np

from shopsight.config import FusionConfig
from shopsight.errors import UsageError
from shopsight.ranking.fusion import fusion_terms
from shopsight.ranking.run import align
from shopsight.ranking.selection import ForwardSelection
from shopsight.ranking.trials import ScoreQueries, Search, Steps, Trials, assign_folds
from shopsight.types import BoolArray, FloatArray, IntArray, Run


@dataclass(frozen=True, eq=False)
class FittedWeights:
    """Fusion weights, which sum to 1, with their (Q,) values on the queries they were fitted on.

    ``held_out`` has the value of each query under the weights that were fitted without its fold,
    ``fold_weights[fold_idx[query]]``.
    """

    weights: tuple[float, ...]
    in_sample: FloatArray
    held_out: FloatArray
    fold_weights: tuple[tuple[float, ...], ...]
    fold_idx: IntArray


def fit_weights(
    runs: Sequence[Run],
    score_queries: ScoreQueries,
    config: FusionConfig | None = None,
    seed: int = 0,
) -> FittedWeights:
    """Find the weights with the best mean value, and cross-validate them.

    ``forward`` selects members by their held-out gain (`ForwardSelection`), and takes the best run
    alone if no ensemble beats it on held-out queries. ``grid`` is the reference's search: t * first
    + (1 - t) * second for t = 0, 1/steps, ..., 1, taking the first best t. ``coordinate`` moves
    weight from one run to another as long as that helps, in ever smaller steps down to 1/steps,
    starting from every single run and from equal weights; in sample, the result is therefore never
    worse than the best single run. ``rrf`` fits nothing: its weights are equal. ``seed`` assigns
    queries to folds.

    Raises:
        UsageError: fewer than two runs or two queries, or a grid over more than two runs.
    """
    config = config or FusionConfig()
    search = _search(config, len(runs), seed)
    trials = Trials(fusion_terms(align(runs).runs, config), score_queries)
    fold_idx = assign_folds(len(trials.values(trials.equal())), config.folds, seed)
    everything = np.ones(len(fold_idx), bool)
    held_out = np.empty(len(fold_idx))
    best, folds = search(trials, everything), []
    for fold in range(int(fold_idx.max()) + 1):
        inside = fold_idx == fold
        folds.append(search(trials, ~inside))
        held_out[inside] = trials.values(folds[-1])[inside]
    if isinstance(search, ForwardSelection):
        best_run = trials.best_run(everything)
        if best == best_run or held_out.mean() <= trials.mean(best_run, everything):
            best, folds, held_out = best_run, [best_run] * len(folds), trials.values(best_run)
    fold_weights = tuple(map(trials.weights, folds))
    return FittedWeights(
        trials.weights(best), trials.values(best), held_out, fold_weights, fold_idx
    )


def _search(config: FusionConfig, runs: int, seed: int) -> Search:
    if runs < 2:
        raise UsageError("fusion needs at least two runs")
    if config.method == "grid" and runs != 2:
        raise UsageError(f"the grid is for two runs, not {runs}; use --method forward")
    searches: dict[str, Search] = {
        "grid": partial(_grid, points=config.steps),
        "coordinate": partial(_coordinate, total=config.steps),
        "forward": ForwardSelection(config.folds, seed),
        "rrf": lambda trials, _: trials.equal(),
    }
    searches["auto"] = searches["grid" if runs == 2 else "forward"]
    return searches[config.method]


def _grid(trials: Trials, queries: BoolArray, points: int) -> Steps:
    grid = [(t, points - t) for t in range(points + 1)]
    return grid[int(np.argmax([trials.mean(steps, queries) for steps in grid]))]


def _coordinate(trials: Trials, queries: BoolArray, total: int) -> Steps:
    # The objective is piecewise constant: several starts and coarse steps first, because small
    # steps alone get stuck where no ranking changes.
    runs = len(trials.runs)
    quotient, rest = divmod(total, runs)
    starts = [tuple(total * (i == best) for i in range(runs)) for best in range(runs)]
    starts.append(tuple(quotient + (i < rest) for i in range(runs)))
    step = max(total // 10, 1)
    ends = [_climb(trials, queries, start, step) for start in starts]
    best = max(ends, key=lambda steps: trials.mean(steps, queries))
    while step > 1:
        step = max(step // 2, 1)
        best = _climb(trials, queries, best, step)
    return best


def _climb(trials: Trials, queries: BoolArray, weights: Steps, step: int) -> Steps:
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
