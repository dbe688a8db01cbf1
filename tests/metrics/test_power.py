"""Power: textbook values, and the power of the randomisation test itself."""

from __future__ import annotations

import numpy as np
import pytest

from shopsight.metrics.power import detectable_effect, needed_queries
from shopsight.metrics.significance import randomisation_test

UNIT = np.array([1.0, -1.0]) * np.sqrt(0.5)  # standard deviation 1


@pytest.mark.parametrize(
    ("effect", "power", "queries"),
    # Cohen, 1988: normal approximation for a medium and a small effect of a paired test.
    [(0.5, 0.8, 32), (0.2, 0.8, 197), (0.5, 0.9, 43)],
)
def test_textbook_numbers(effect: float, power: float, queries: int) -> None:
    assert needed_queries(UNIT, effect, 0.05, power) == queries
    difference = np.tile(UNIT, queries)[:queries]
    difference /= difference.std(ddof=1)
    assert detectable_effect(difference, 0.05, power) == pytest.approx(effect, rel=0.03)


def test_the_randomisation_test_has_that_power() -> None:
    rng = np.random.default_rng(0)
    queries, spread = 60, 0.3
    effect = detectable_effect(rng.normal(0, spread, 100_000), power=0.8) * np.sqrt(
        100_000 / queries
    )
    zeros = np.zeros(queries)
    found = [
        randomisation_test(rng.normal(effect, spread, queries), zeros, 499, seed) < 0.05
        for seed in range(300)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.07)


def test_too_few_queries_show_nothing() -> None:
    assert np.isnan(detectable_effect(np.array([0.3])))
