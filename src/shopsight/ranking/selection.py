"""Selection of ensemble members by their held-out gain.

Weights come from greedy forward selection with replacement (Caruana et al., *Ensemble selection
from libraries of models*, ICML 2004), averaged over selections that each leave out a fold of the
queries. The average turns votes into weights: with few queries, where the selections disagree, it
stays close to the plain mean of the plausible members, which is hard to beat. Searching for exact
weights instead overfits below about 200 queries (docs/method.md, section 6).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import lcm

import numpy as np

from shopsight.ranking.trials import Steps, Trials, assign_folds
from shopsight.types import BoolArray

_ADDITIONS = 10  # members that a selection adds, again and again the same if that helps
_SAFE = 0.1  # a member with this weight was chosen again and again, and is not left out
_ROUNDING = 1e-12  # sums of the same values in another order differ by less


@dataclass(frozen=True)
class ForwardSelection:
    """Search for the members and weights of an ensemble; ``seed`` assigns queries to folds."""

    folds: int
    seed: int

    def __call__(self, trials: Trials, queries: BoolArray) -> Steps:
        """Weights for the queries inside a mask.

        Members that hardly any selection chooses are left out unless the held-out score falls
        without them. The best run is alone if no ensemble beats it on held-out queries.
        """
        best_run = trials.best_run(queries)
        if queries.sum() < 2:
            return best_run
        chosen = self._averaged(trials, queries, list(range(len(trials.runs))))
        held_out = self._held_out(trials, queries, list(range(len(trials.runs))))
        while True:
            members = [member for member, weight in enumerate(chosen) if weight]
            weakest = min(members, key=lambda member: (chosen[member], -member))
            members.remove(weakest)
            if not members or chosen[weakest] >= _SAFE * sum(chosen):
                break
            value = self._held_out(trials, queries, members)
            if value < held_out:
                break
            chosen, held_out = self._averaged(trials, queries, members), value
        return best_run if held_out <= trials.mean(best_run, queries) else chosen

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
    """The best of the equally weighted sums that greedy additions of members pass through."""
    steps: Steps = (0,) * len(trials.runs)
    chosen, best = steps, -np.inf
    for _ in range(_ADDITIONS):
        larger = [(*steps[:i], steps[i] + 1, *steps[i + 1 :]) for i in members]
        values = [trials.mean(candidate, queries) for candidate in larger]
        steps = larger[values.index(max(values))]
        if max(values) > best + _ROUNDING:
            chosen, best = steps, max(values)
    return chosen
