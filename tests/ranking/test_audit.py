"""Audit of candidate pools: exact expectations over ties, statistics, verdicts."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsight.metrics.evaluate import bootstrap_interval
from shopsight.ranking.audit import Audit, RelevanceCount, audit, expected_dcg
from shopsight.types import Pools, Qrels


@given(
    gains=st.lists(st.integers(0, 2), min_size=1, max_size=5),
    keys=st.lists(st.integers(0, 2), min_size=5, max_size=5),
    k=st.integers(1, 5),
)
def test_expected_dcg_is_the_mean_over_all_orders(
    gains: list[int], keys: list[int], k: int
) -> None:
    keys = keys[: len(gains)]
    discounts = 1 / np.log2(np.arange(2, 12))
    values = []
    for order in permutations(range(len(gains))):
        if all(keys[i] <= keys[j] for i, j in pairwise(order)):
            values.append(sum(gains[i] * d for i, d in zip(order[:k], discounts, strict=False)))
    result = expected_dcg(np.array(gains, float), np.array(keys), k)
    assert result == pytest.approx(np.mean(values))


def leaking(queries: int = 40) -> tuple[dict[str, list[str]], Qrels]:
    """Pools whose relevant products are in one pool each, and all others in every pool."""
    common = [f"common{i}" for i in range(15)]
    pools = {str(q): [f"own{q}a", f"own{q}b", *common] for q in range(queries)}
    return pools, Qrels({q: {f"own{q}a": 1, f"own{q}b": 1} for q in pools})


def check(pools: dict[str, list[str]], qrels: Qrels | None, **texts: dict[str, str]) -> Audit:
    return audit(Pools.from_dict(pools), qrels, bootstrap_interval, **texts)


def test_leaking_pools() -> None:
    result = check(*leaking())
    assert result.leak is not None
    assert result.leak.count_only == pytest.approx(1.0)
    assert result.leak.random < 0.4
    assert result.leak.leaks
    assert result.verdict.startswith("These pools LEAK: ")
    assert result.leak.relevance_by_pool_count == {
        1: RelevanceCount(80, 80),
        40: RelevanceCount(600, 0),
    }


def test_fair_pools() -> None:
    rng = np.random.default_rng(0)
    pools = {str(q): [str(p) for p in rng.choice(500, 20, replace=False)] for q in range(60)}
    qrels = Qrels({q: dict.fromkeys(rng.choice(pool, 3), 1) for q, pool in pools.items()})
    result = check(pools, qrels)
    assert result.leak is not None
    assert not result.leak.leaks
    assert result.verdict.startswith("No leak found")


def test_structure_without_judgements() -> None:
    pools = {"1": ["a", "b", "a"], "2": ["b"], "3": [], "4": ["c"]}
    texts = {"1": "Red shoes", "2": "red  shoes", "3": " ", "4": "hat"}
    result = check(pools, None, texts=texts)
    assert result.verdict == "A label leak can only be measured with relevance judgements."
    structure = result.structure
    assert (structure.queries, structure.candidates, structure.products) == (4, 4, 3)
    assert structure.pool_sizes == (0, 1.0, 2)
    assert structure.products_by_pool_count == {1: 2, 2: 1}
    assert structure.repeated_in_pool == [("1", "a")]
    assert structure.empty_pools == ["3"]
    assert structure.empty_queries == ["3"]
    assert structure.duplicate_queries == [["1", "2"]]


def test_texts_are_compared_normalised() -> None:
    texts = {"1": "women’s Ｔ–shirt", "2": "Women's t-shirt", "3": "\u200b", "4": "t-shirt"}
    structure = check({query: ["a"] for query in texts}, None, texts=texts).structure
    assert structure.duplicate_queries == [["1", "2"]]
    assert structure.empty_queries == ["3"]


def test_without_texts() -> None:
    structure = check({"1": ["a"]}, None).structure
    assert structure.empty_queries is None
    assert structure.duplicate_queries is None


def test_relevant_products_outside_the_pool() -> None:
    qrels = Qrels({"1": {"a": 1, "z": 1, "y": 0}, "9": {"a": 1}})
    leak = check({"1": ["a", "b"], "2": ["b"]}, qrels).leak
    assert leak is not None
    assert leak.unreachable == {"1": ["z"]}
    assert leak.without_pool == ["9"]
    assert leak.without_answers == ["2"]
    # Of the two relevant products of query 1, its pool holds "a" only. One pool offers "a", two
    # offer "b", so that "a" is first by count.
    assert leak.count_only == pytest.approx((1 / (1 + 1 / np.log2(3)) + 0) / 2)
    assert leak.queries == 2


def test_no_relevant_products_and_no_pools() -> None:
    leak = check({}, Qrels({"1": {}})).leak
    assert leak is not None
    assert (leak.count_only, leak.random, leak.leaks) == (0.0, 0.0, False)
