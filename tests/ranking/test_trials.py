"""Trials: every weight vector is evaluated once; folds are equal and random."""

from __future__ import annotations

import numpy as np
import pytest

from shopsight.errors import UsageError
from shopsight.ranking.trials import Trials, assign_folds
from shopsight.types import FloatArray, Run

FIRST = Run.from_dict({"x": {"a": 1.0, "b": 0.0}, "y": {"a": 0.0, "b": 1.0}})
SECOND = FIRST.with_scores(np.array([0.0, 3.0, 1.0, 0.0]))


def test_proportional_weights_are_evaluated_once() -> None:
    calls = []

    def gap(run: Run) -> FloatArray:
        calls.append(run)
        return run.scores[::2] - run.scores[1::2]

    trials = Trials([FIRST, SECOND], gap)
    everything = np.ones(2, bool)
    assert trials.values((1, 3)).tolist() == [0.25 - 2.25, 0.75 - 0.25]
    assert trials.values((2, 6)).tolist() == trials.values((1, 3)).tolist()
    assert len(calls) == 1
    assert trials.weights((1, 3)) == (0.25, 0.75)
    assert trials.mean((1, 0), everything) == 0.0
    assert trials.mean((1, 0), np.array([True, False])) == 1.0
    assert trials.best_run(everything) == (1, 0)
    assert trials.best_run(np.array([False, True])) == (0, 1)


def test_folds_have_equal_sizes() -> None:
    assert np.bincount(assign_folds(23, 5, 0)).tolist() == [5, 5, 5, 4, 4]
    assert sorted(assign_folds(3, 5, 0).tolist()) == [0, 1, 2]
    assert assign_folds(23, 5, 0).tolist() != assign_folds(23, 5, 1).tolist()
    with pytest.raises(UsageError, match="at least two queries"):
        assign_folds(1, 5, 0)
