"""Transductive re-ranking, by hand and against a naive version."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsight.errors import UsageError
from shopsight.ranking.rerank import exclusive, rerank_exclusive
from shopsight.ranking.run import top_k
from shopsight.types import Run

Scores = dict[str, dict[str, float]]
ids = st.text("01ab", min_size=1, max_size=2)
scores = st.dictionaries(
    ids, st.dictionaries(ids, st.integers(0, 6).map(lambda n: n / 4), max_size=6), max_size=5
)
margins = st.none() | st.sampled_from([-0.5, 0.0, 0.25, 0.6])


def naive_is_kept(given_scores: Scores, query: str, product: str, margin: float | None) -> bool:
    candidates = sorted(
        ((pool[product], other) for other, pool in given_scores.items() if product in pool),
        reverse=True,
    )
    if candidates[0][1] != query:
        return False
    return len(candidates) == 1 or margin is None or candidates[0][0] - candidates[1][0] > margin


def naive_top(given_scores: Scores, margin: float | None) -> dict[str, list[str]]:
    return {
        query: sorted(
            pool,
            key=lambda p: (naive_is_kept(given_scores, query, p, margin), pool[p], p),
            reverse=True,
        )
        for query, pool in given_scores.items()
    }


TWO = {"1": {"a": 0.9, "b": 0.5, "c": 0.2}, "2": {"a": 0.7, "c": 0.1, "d": 0.0}}


def test_by_hand() -> None:
    assert top_k(rerank_exclusive(Run.from_dict(TWO))) == {
        "1": ["a", "b", "c"],
        "2": ["d", "a", "c"],
    }
    assert top_k(rerank_exclusive(Run.from_dict(TWO), 0.15)) == {
        "1": ["a", "b", "c"],  # a leads by 0.2; c leads by only 0.1 and is demoted
        "2": ["d", "a", "c"],
    }
    assert exclusive(Run.from_dict(TWO), 0.15).tolist() == [
        True,
        True,
        False,
        False,
        False,
        True,
    ]


def test_kept_scores_stay() -> None:
    run = Run.from_dict(TWO)
    kept = exclusive(run)
    assert np.array_equal(rerank_exclusive(run).scores[kept], run.scores[kept])


def test_query_that_keeps_nothing_is_unchanged() -> None:
    run = Run.from_dict({"1": {"a": 0.1}, "2": {"a": 0.9}})
    assert rerank_exclusive(run).scores.tolist() == [0.1, 0.9]


@given(given_scores=scores, margin=margins)
def test_equals_naive(given_scores: Scores, margin: float | None) -> None:
    after = rerank_exclusive(Run.from_dict(given_scores), margin)
    assert top_k(after) == naive_top(given_scores, margin)


@given(given_scores=scores, margin=margins, scale=st.sampled_from([1e-300, 1e-12, 1e12, 1e90]))
def test_any_scale_keeps_the_order(
    given_scores: Scores, margin: float | None, scale: float
) -> None:
    scaled = {q: {p: s * scale for p, s in pool.items()} for q, pool in given_scores.items()}
    if margin is not None:
        margin *= scale
    after = rerank_exclusive(Run.from_dict(scaled), margin)
    assert top_k(after) == naive_top(scaled, margin)


@pytest.mark.parametrize("margin", [math.nan, math.inf])
def test_margin_must_be_finite(margin: float) -> None:
    with pytest.raises(UsageError, match="finite"):
        rerank_exclusive(Run.from_dict(TWO), margin)
