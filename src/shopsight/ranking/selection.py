"""Selection of ensemble members by their held-out gain.

Weights come from greedy forward selection (Caruana et al., *Ensemble selection from libraries of
models*, ICML 2004) with equal weights, averaged over selections that each leave out a fold of the
queries. The average turns votes into weights: with few queries, where the selections disagree, it
stays close to the plain mean of the plausible members, which is hard to beat; with many, it settles
on a subset. Searching for exact weights instead overfits below about 200 queries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import lcm

import numpy as np

from shopsight.ranking.trials import Steps, Trials, assign_folds
from shopsight.types import BoolArray

_ROUNDING = 1e-12  # sums of the same values in another order differ by less


@dataclass(frozen=True)
class ForwardSelection:
    """Search for the members and weights of an ensemble; ``seed`` assigns queries to folds."""

    folds: int
    seed: int

    def __call__(self, trials: Trials, queries: BoolArray) -> Steps:
        """Weights for the queries inside a mask; 0 for members without a held-out gain.

        The best run alone, if no ensemble beats it on held-out queries.
        """
        best_run = trials.best_run(queries)
        if queries.sum() < 2:
            return best_run
        members = list(range(len(trials.runs)))
        held_out = self._held_out(trials, queries, members)
        while len(members) > 1:
            smaller = [[other for other in members if other != member] for member in members]
            values = [self._held_out(trials, queries, subset) for subset in smaller]
            if max(values) < held_out:
                break
            held_out = max(values)
            members = smaller[values.index(held_out)]
        if held_out <= trials.mean(best_run, queries):
            return best_run
        return self._averaged(trials, queries, members)

    def _held_out(self, trials: Trials, queries: BoolArray, members: Sequence[int]) -> float:
        """Cross-validated mean of the averaged selections from some members."""
        total = 0.0
        for inside in self._fold_masks(queries):
            steps = self._averaged(trials, queries & ~inside, members)
            total += float(trials.values(steps)[inside].sum())
        return total / int(queries.sum())

    def _averaged(self, trials: Trials, queries: BoolArray, members: Sequence[int]) -> Steps:
        """Mean weights of the selections that each leave out a fold."""
        chosen = [_forward(trials, queries, members)]
        if queries.sum() > 1:
            chosen = [
                _forward(trials, queries & ~inside, members) for inside in self._fold_masks(queries)
            ]
        unit = lcm(*map(sum, chosen))
        return tuple(sum(unit // sum(s) * s[i] for s in chosen) for i in range(len(trials.runs)))

    def _fold_masks(self, queries: BoolArray) -> Iterator[BoolArray]:
        fold = np.full(len(queries), -1)
        fold[queries] = assign_folds(int(queries.sum()), self.folds, self.seed)
        return (fold == i for i in range(int(fold.max()) + 1))


def _forward(trials: Trials, queries: BoolArray, members: Sequence[int]) -> Steps:
    """Equal weights of the members that greedy selection adds while the mean rises."""
    chosen: Steps = (0,) * len(trials.runs)
    best = -np.inf
    left = list(members)
    while left:
        larger = [(*chosen[:member], 1, *chosen[member + 1 :]) for member in left]
        values = [trials.mean(steps, queries) for steps in larger]
        if max(values) <= best + _ROUNDING:
            break
        best = max(values)
        chosen = larger[values.index(best)]
        left.pop(values.index(best))
    return chosen
