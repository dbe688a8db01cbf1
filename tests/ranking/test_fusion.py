"""Normalisation and weighted sums."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsight.config import FusionConfig
from shopsight.errors import UsageError
from shopsight.ranking.fusion import fuse, normalise, reciprocal_ranks, weighted_sum
from shopsight.ranking.run import top_k
from shopsight.types import Run

Scores = dict[str, dict[str, float]]
ids = st.text("019ab", min_size=1, max_size=2)
values = st.integers(-40, 40).map(lambda n: n / 8)
scores = st.dictionaries(ids, st.dictionaries(ids, values, max_size=6), min_size=1, max_size=4)
METHODS = ["minmax", "zscore", "rank"]


def by_query(run: Run) -> list[list[float]]:
    return [part.tolist() for part in np.split(run.scores, run.pools.offsets[1:-1])]


def test_by_hand() -> None:
    run = Run.from_dict({"q": {"a": 1.0, "b": 3.0, "c": 2.0, "d": 2.0}, "r": {"a": 5.0}, "s": {}})
    assert by_query(normalise(run, "minmax")) == [[0.0, 1.0, 0.5, 0.5], [0.0], []]
    root = 2**0.5
    zscore = by_query(normalise(run, "zscore"))
    assert zscore[0] == pytest.approx([-root, root, 0.0, 0.0])
    assert zscore[1:] == [[0.0], []]
    assert by_query(normalise(run, "rank")) == [[0.0, 1.0, 0.5, 0.5], [0.0], []]
    assert normalise(run, "none").scores is run.scores


def test_unknown_normalisation() -> None:
    with pytest.raises(UsageError, match="did you mean 'zscore'"):
        normalise(Run.from_dict({"q": {"a": 1.0}}), "z-score")


@given(scores=scores, method=st.sampled_from(METHODS))
def test_constants_become_zero_and_nothing_is_nan(scores: Scores, method: str) -> None:
    run = Run.from_dict(scores)
    assert np.all(np.isfinite(normalise(run, method).scores))
    assert not normalise(run.with_scores(np.full(len(run.scores), 0.1)), method).scores.any()


@given(scores=scores, method=st.sampled_from(METHODS))
def test_normalising_keeps_the_order(scores: Scores, method: str) -> None:
    run = Run.from_dict(scores)
    assert top_k(normalise(run, method)) == top_k(run)


@given(
    scores=scores,
    other=scores,
    method=st.sampled_from(METHODS),
    power=st.integers(-6, 6),
    shift=st.integers(-8, 8),
)
def test_normalised_fusion_ignores_scale_and_shift(
    scores: Scores, other: Scores, method: str, power: int, shift: int
) -> None:
    # Powers of two and whole shifts change no bit but the exponent's, so equality is exact.
    config = FusionConfig(normalise=method)  # type: ignore[arg-type]
    first, second = Run.from_dict(scores), Run.from_dict(other)
    scaled = first.with_scores(first.scores * 2.0**power + (shift * 2.0**power))
    plain = fuse([first, second], [0.5, 0.5], config)
    moved = fuse([scaled, second], [0.5, 0.5], config)
    assert moved.scores == pytest.approx(plain.scores, abs=1e-12)


@given(
    scores=scores,
    other=scores,
    method=st.sampled_from(["none", *METHODS, "rrf"]),
    seed=st.integers(0, 9),
)
def test_fusion_ignores_the_order_of_rows(
    scores: Scores, other: Scores, method: str, seed: int
) -> None:
    rng = random.Random(seed)
    config = (
        FusionConfig(method="rrf") if method == "rrf" else FusionConfig(normalise=method)  # type: ignore[arg-type]
    )
    blend = {q: dict(rng.sample(list(pool.items()), len(pool))) for q, pool in scores.items()}
    blend = dict(rng.sample(list(blend.items()), len(blend)))
    runs = [Run.from_dict(pools) for pools in (scores, blend, other)]
    plain, moved = (fuse([run, runs[2]], [0.5, 0.25], config) for run in runs[:2])
    assert top_k(moved) == top_k(plain)


def test_reciprocal_ranks() -> None:
    first = Run.from_dict({"q": {"a": 0.9, "b": 0.5, "c": 0.1}})
    second = Run.from_dict({"q": {"a": 1.0, "b": 9.0, "c": 5.0}})
    assert reciprocal_ranks(first, 60).scores.tolist() == [1 / 61, 1 / 62, 1 / 63]
    fused = fuse([first, second], [1, 1], FusionConfig(method="rrf"))
    assert fused.scores.tolist() == [1 / 61 + 1 / 63, 1 / 62 + 1 / 61, 1 / 63 + 1 / 62]
    assert top_k(fused) == {"q": ["b", "a", "c"]}


def test_equal_weights_by_default() -> None:
    runs = [Run.from_dict({"q": {"a": 1.0}}), Run.from_dict({"q": {"a": 2.0}})]
    assert fuse(runs).scores.tolist() == [1.5]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "2 runs need 2 finite weights"),
        ([1.0, float("nan")], "2 runs need 2 finite weights"),
        ([1.0, 1.0, 1.0], "2 runs need 2 finite weights"),
        ([0.0, 0.0], "at least 0 and not all 0"),
        ([1.0, -0.5], "at least 0 and not all 0"),
        ([1e308, 1e308], r"lead to scores beyond 1e\+100"),
        ([1e101, 0.0], r"lead to scores beyond 1e\+100"),
    ],
)
def test_invalid_weights(weights: list[float], message: str) -> None:
    run = Run.from_dict({"q": {"a": 10.0, "b": -10.0}})
    with pytest.raises(UsageError, match=message):
        fuse([run, run], weights)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"folds": 1}, "folds must be at least 2, not 1"),
        ({"rrf_k": -1.0}, "rrf_k must be at least 0, not -1"),
        ({"rrf_k": float("nan")}, "rrf_k must be at least 0, not nan"),
        ({"rrf_k": float("inf")}, "rrf_k must be a finite number, not inf"),
        ({"method": "rrf", "normalise": "zscore"}, "leave out --normalise zscore"),
    ],
)
def test_invalid_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        FusionConfig(**settings)


def test_weighted_sum_needs_aligned_runs() -> None:
    runs = [Run.from_dict({"q": {"a": 1.0}}), Run.from_dict({"q": {"a": 2.0}})]
    with pytest.raises(ValueError, match="align them first"):
        weighted_sum(runs, [1, 1])
