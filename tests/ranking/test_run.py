"""The total order, ranks, top-k and alignment."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shopsight.ranking.run import align, ranks, top_k
from shopsight.types import Pools, Run

Scores = dict[str, dict[str, float]]
ids = st.text("0129ab", min_size=1, max_size=3)
scores = st.dictionaries(
    ids, st.dictionaries(ids, st.integers(-2, 2).map(float), max_size=8), max_size=6
)


def naive_top(scores: Scores) -> dict[str, list[str]]:
    return {
        query: [p for _, p in sorted(((s, p) for p, s in pool.items()), reverse=True)]
        for query, pool in scores.items()
    }


def shuffled(scores: Scores, seed: int) -> Run:
    """The same scores with candidates in another order (queries keep theirs)."""
    rng = random.Random(seed)
    return Run.from_dict(
        {query: dict(rng.sample(list(pool.items()), len(pool))) for query, pool in scores.items()}
    )


def test_ties_go_to_the_greater_string() -> None:
    run = Run.from_dict({"q": {"10": 1.0, "9": 1.0, "b": 1.0, "a": 1.0, "5": 2.0}})
    assert top_k(run) == {"q": ["5", "b", "a", "9", "10"]}
    assert top_k(run, 2) == {"q": ["5", "b"]}
    assert ranks(run).tolist() == [5, 4, 2, 3, 1]


def test_very_uneven_pools() -> None:
    rng = random.Random(0)
    pools = {str(q): {str(p): float(rng.randint(0, 3)) for p in range(3)} for q in range(50)}
    pools["wide"] = {str(p): float(rng.randint(0, 3)) for p in range(400)}
    assert top_k(Run.from_dict(pools)) == naive_top(pools)


def test_negative_zero_is_zero() -> None:
    assert top_k(Run.from_dict({"q": {"a": 0.0, "b": -0.0}})) == {"q": ["b", "a"]}


@given(given_scores=scores, seed=st.integers(0, 99))
def test_order_ignores_the_order_of_rows(given_scores: Scores, seed: int) -> None:
    assert top_k(shuffled(given_scores, seed)) == naive_top(given_scores)


@given(given_scores=scores)
def test_order_is_a_permutation_query_by_query(given_scores: Scores) -> None:
    run = Run.from_dict(given_scores)
    assert sorted(run.order) == list(range(len(run.scores)))
    assert np.array_equal(run.pools.query_idx[run.order], run.pools.query_idx)


def test_align_fills_with_the_lowest_score() -> None:
    first = Run.from_dict({"1": {"a": 0.3, "b": 0.9}, "2": {"x": 1.0}})
    second = Run.from_dict({"3": {"y": 4.0}, "1": {"c": 5.0, "a": 7.0}})
    aligned = align([first, second])
    assert aligned.filled == (2, 2)
    pools = aligned.runs[0].pools
    assert pools.query_ids == ("1", "2", "3")
    assert {query: set(pools.of(query)) for query in pools.query_ids} == {
        "1": {"a", "b", "c"},
        "2": {"x"},
        "3": {"y"},
    }
    for run, expected in zip(
        aligned.runs,
        (
            {"1": {"a": 0.3, "b": 0.9, "c": 0.3}, "2": {"x": 1.0}, "3": {"y": 0.0}},
            {"1": {"a": 7.0, "b": 5.0, "c": 5.0}, "2": {"x": 0.0}, "3": {"y": 4.0}},
        ),
        strict=True,
    ):
        assert run.pools is pools
        rows = zip(run.pools.query_idx, run.pools.product_ids, run.scores, strict=True)
        assert {(pools.query_ids[q], p): s for q, p, s in rows} == {
            (q, p): s for q, pool in expected.items() for p, s in pool.items()
        }


@given(first=scores, seed=st.integers(0, 99))
def test_aligning_a_shuffled_run_changes_nothing(first: Scores, seed: int) -> None:
    aligned = align([Run.from_dict(first), shuffled(first, seed)])
    assert aligned.filled == (0, 0)
    assert np.array_equal(aligned.runs[0].scores, aligned.runs[1].scores)
    assert top_k(aligned.runs[0]) == naive_top(first)


def test_runs_that_share_pools_are_unchanged() -> None:
    run = Run.from_dict({"q": {"a": 1.0}})
    assert align([run, run.with_scores(np.array([2.0]))]).runs[0] is run


def test_empty_run() -> None:
    run = Run(Pools.from_dict({}), np.empty(0))
    assert top_k(run) == {}
    assert align([run, Run.from_dict({})]).filled == (0, 0)
