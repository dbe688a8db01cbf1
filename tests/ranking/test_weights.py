"""Fitted weights: never worse than a member in sample; cross-validated scores."""

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


def random_runs(count: int, queries: int, seed: int) -> list[Run]:
    rng = np.random.default_rng(seed)
    return [
        Run.from_dict(
            {
                str(query): dict(zip(PRODUCTS, rng.integers(0, 9, 5) / 4, strict=True))
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
    method=st.sampled_from(["none", "minmax", "zscore", "rank"]),
)
def test_coordinate_is_never_worse_in_sample_than_the_best_member(
    count: int, seed: int, method: str
) -> None:
    runs = random_runs(count, 12, seed)
    config = FusionConfig("coordinate", method, steps=20)  # type: ignore[arg-type]
    fitted = fit_weights(runs, first_is_a, config)
    # Normalising keeps every member's order, so its value too.
    assert fitted.in_sample.mean() >= max(first_is_a(run).mean() for run in runs)
    assert sum(fitted.weights) == pytest.approx(1)
    assert min(fitted.weights) >= 0
    fused = first_is_a(fuse(runs, fitted.weights, config))
    assert np.array_equal(fused, fitted.in_sample)


def test_grid_takes_the_first_best_step() -> None:
    first = Run.from_dict({q: {"a": 3.0, "c": 0.0} for q in "xy"})
    second = Run.from_dict({q: {"a": 0.0, "c": 1.0} for q in "xy"})
    fitted = fit_weights([first, second], first_is_a)
    # t * first + (1 - t) * second ranks "a" first if 3t > 1 - t. The tie at t = 0.25 goes to "c",
    # so the first best step is 0.26.
    assert fitted.weights == (0.26, 0.74)
    assert fitted.fold_weights == ((0.26, 0.74), (0.26, 0.74))
    assert fitted.in_sample.tolist() == fitted.held_out.tolist() == [1.0, 1.0]


def test_grid_equals_brute_force() -> None:
    runs = random_runs(2, 30, 5)
    fitted = fit_weights(runs, first_is_a, FusionConfig(steps=40))
    values = [first_is_a(fuse(runs, (t / 40, 1 - t / 40))).mean() for t in range(41)]
    assert fitted.weights == (np.argmax(values) / 40, 1 - np.argmax(values) / 40)


def test_held_out_values_come_from_the_weights_of_their_fold() -> None:
    runs = random_runs(2, 20, 3)
    fitted = fit_weights(runs, first_is_a, FusionConfig(folds=4), seed=1)
    possible = np.stack([first_is_a(fuse(runs, weights)) for weights in fitted.fold_weights])
    assert np.array_equal(possible[fitted.fold_idx, np.arange(20)], fitted.held_out)
    assert fitted.held_out.mean() <= fitted.in_sample.mean()


def test_same_seed_same_result() -> None:
    runs = random_runs(3, 20, 3)
    first, second = (fit_weights(runs, first_is_a, seed=4) for _ in range(2))
    assert first.weights == second.weights
    assert np.array_equal(first.held_out, second.held_out)


def test_weights_are_better_than_any_member() -> None:
    # Each run ranks "a" second, behind a product of its own; only the sum ranks it first.
    rivals = ["c", "d", "e"]
    runs = [
        Run.from_dict({q: {"a": 2.0, **{r: 3.0 * (r == rival) for r in rivals}} for q in "xyz"})
        for rival in rivals
    ]
    for method in ("coordinate", "forward"):
        fitted = fit_weights(runs, first_is_a, FusionConfig(method))  # type: ignore[arg-type]
        assert fitted.in_sample.tolist() == [1.0, 1.0, 1.0]


def test_reciprocal_ranks_need_no_fit() -> None:
    runs = random_runs(3, 6, 0)
    fitted = fit_weights(runs, first_is_a, FusionConfig(method="rrf"))
    assert fitted.weights == (1 / 3, 1 / 3, 1 / 3)
    assert np.array_equal(fitted.in_sample, fitted.held_out)


@pytest.mark.parametrize(
    ("count", "queries", "config", "message"),
    [
        (1, 5, FusionConfig(), "at least two runs"),
        (2, 1, FusionConfig(), "judgements for at least two queries"),
        (3, 5, FusionConfig(method="grid"), "the grid is for two runs, not 3"),
    ],
)
def test_invalid_input(count: int, queries: int, config: FusionConfig, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fit_weights(random_runs(count, queries, 0), first_is_a, config)
