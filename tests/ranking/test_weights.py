"""Fitted weights: never worse than a member in sample, honest out of sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopsight.config import FusionConfig
from shopsight.errors import UsageError
from shopsight.ranking.fusion import fuse
from shopsight.ranking.weights import fit_weights
from shopsight.types import FloatArray, Run

PRODUCTS = ["a", "b", "c", "d", "e"]


def drawn_runs(count: int, queries: int, seed: int) -> list[Run]:
    chance = np.random.default_rng(seed)
    return [
        Run.from_dict(
            {
                str(query): dict(zip(PRODUCTS, chance.integers(0, 9, 5) / 4, strict=True))
                for query in range(queries)
            }
        )
        for _ in range(count)
    ]


def first_is_a(run: Run) -> FloatArray:
    """(Q,) 1 where the best product is "a", a half where it is "b"."""
    best = run.pools.product_ids[run.order][run.pools.offsets[:-1]]
    return np.where(best == "a", 1.0, np.where(best == "b", 0.5, 0.0))


@settings(max_examples=30)
@given(
    count=st.integers(2, 4),
    seed=st.integers(0, 10**6),
    how=st.sampled_from(["none", "minmax", "zscore", "rank"]),
)
def test_never_worse_in_sample_than_the_best_member(count: int, seed: int, how: str) -> None:
    runs = drawn_runs(count, 12, seed)
    config = FusionConfig(normalise=how, steps=20)  # type: ignore[arg-type]
    fitted = fit_weights(runs, first_is_a, config)
    # Normalising keeps every member's order, so its value too.
    assert fitted.in_sample.mean() >= max(first_is_a(run).mean() for run in runs)
    assert sum(fitted.weights) == pytest.approx(1)
    assert min(fitted.weights) >= 0
    fused = first_is_a(fuse(runs, fitted.weights, config))
    assert np.array_equal(fused, fitted.in_sample)


def test_the_grid_takes_the_first_best_t() -> None:
    # "a" is best under t * first + (1 - t) * second from t = 0.25 on: 4t > 1 - t + ... by hand.
    first = Run.from_dict({q: {"a": 3.0, "c": 0.0} for q in "xy"})
    second = Run.from_dict({q: {"a": 0.0, "c": 1.0} for q in "xy"})
    fitted = fit_weights([first, second], first_is_a)
    # 3t > 1 - t, strictly, because the tie at t = 0.25 goes to "c": the first step is 0.26.
    assert fitted.weights == (0.26, 0.74)
    assert fitted.fold_weights == ((0.26, 0.74), (0.26, 0.74))
    assert fitted.in_sample.tolist() == fitted.held_out.tolist() == [1.0, 1.0]


def test_grid_equals_brute_force() -> None:
    runs = drawn_runs(2, 30, 5)
    fitted = fit_weights(runs, first_is_a, FusionConfig(steps=40))
    values = [first_is_a(fuse(runs, (t / 40, 1 - t / 40))).mean() for t in range(41)]
    assert fitted.weights == (np.argmax(values) / 40, 1 - np.argmax(values) / 40)


def test_held_out_values_come_from_the_weights_of_their_fold() -> None:
    runs = drawn_runs(2, 20, 3)
    fitted = fit_weights(runs, first_is_a, FusionConfig(folds=4), seed=1)
    possible = np.stack([first_is_a(fuse(runs, weights)) for weights in fitted.fold_weights])
    assert np.all(np.any(possible == fitted.held_out, axis=0))
    assert fitted.held_out.mean() <= fitted.in_sample.mean()


def test_same_seed_same_result() -> None:
    runs = drawn_runs(3, 20, 3)
    one, other = (fit_weights(runs, first_is_a, seed=4) for _ in range(2))
    assert one.weights == other.weights
    assert np.array_equal(one.held_out, other.held_out)


def test_coordinate_finds_a_mixture_no_member_has() -> None:
    # "a" is second everywhere, under each run behind another product; only the sum has it first.
    rivals = ["c", "d", "e"]
    runs = [
        Run.from_dict({q: {"a": 2.0, **{r: 3.0 * (r == rival) for r in rivals}} for q in "xyz"})
        for rival in rivals
    ]
    assert fit_weights(runs, first_is_a).in_sample.tolist() == [1.0, 1.0, 1.0]


def test_reciprocal_ranks_need_no_fit() -> None:
    runs = drawn_runs(3, 6, 0)
    fitted = fit_weights(runs, first_is_a, FusionConfig(method="rrf"))
    assert fitted.weights == (1 / 3, 1 / 3, 1 / 3)
    assert np.array_equal(fitted.in_sample, fitted.held_out)


@pytest.mark.parametrize(
    ("count", "queries", "config", "words"),
    [
        (1, 5, FusionConfig(), "at least two runs"),
        (2, 1, FusionConfig(), "judgements for at least two queries"),
        (3, 5, FusionConfig(method="grid"), "the grid is for two runs, not 3"),
    ],
)
def test_refusals(count: int, queries: int, config: FusionConfig, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        fit_weights(drawn_runs(count, queries, 0), first_is_a, config)
