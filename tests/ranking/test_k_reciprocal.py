"""k-reciprocal re-ranking equals the published algorithm in plain loops, and works by hand."""

from __future__ import annotations

import numpy as np
import pytest

from shopsight.config import KReciprocalConfig
from shopsight.errors import UsageError
from shopsight.ranking.k_reciprocal import jaccard_similarities, rerank_k_reciprocal
from shopsight.types import FloatArray, Run


def unit(vectors: FloatArray) -> FloatArray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def published(vectors: FloatArray, k1: int, k2: int) -> list[float]:
    """The loops of the authors' program, with the first vector as its probe."""
    distance = np.array([[((a - b) ** 2).sum() for b in vectors] for a in vectors])
    distance = distance / distance.max(axis=1, keepdims=True)
    rank = np.argsort(distance, axis=1, kind="stable")

    def reciprocal(i: int, k: int) -> list[int]:
        return [int(j) for j in rank[i, : k + 1] if i in rank[j, : k + 1]]

    encoded = np.zeros_like(distance)
    for i in range(len(vectors)):
        own = reciprocal(i, k1)
        expanded = list(own)
        for j in own:
            others = reciprocal(j, round(k1 / 2))
            if len(set(others) & set(own)) > 2 / 3 * len(others):
                expanded += others
        expanded = sorted(set(expanded))
        weight = np.exp(-distance[i, expanded])
        encoded[i, expanded] = weight / weight.sum()
    encoded = np.array([encoded[rank[i, :k2]].mean(axis=0) for i in range(len(vectors))])
    similarities = []
    for j in range(1, len(vectors)):
        common = sum(min(a, b) for a, b in zip(encoded[0], encoded[j], strict=True))
        similarities.append(common / (2 - common))
    return similarities


@pytest.mark.parametrize(("k1", "k2"), [(20, 6), (4, 1), (3, 3), (1, 1)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equals_the_published_algorithm(k1: int, k2: int, seed: int) -> None:
    vectors = unit(np.random.default_rng(seed).normal(size=(31, 5)))
    ours = jaccard_similarities(vectors, k1, k2)
    np.testing.assert_allclose(ours, published(vectors, k1, k2), rtol=1e-9)


def test_a_shared_neighbourhood_raises_a_product() -> None:
    """b scores little, but lies among the query's neighbours; c scores more and lies elsewhere."""
    angles = np.radians([0, 2, 4, 6, 80, 82, 84])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    run = Run.from_dict({"q": {"a": 1.0, "x": 0.9, "b": 0.1, "c": 0.5, "d": 0.0, "e": 0.0}})
    config = KReciprocalConfig(k1=3, k2=1)
    result = rerank_k_reciprocal(run, vectors[:1], vectors[1:], np.arange(6), config)
    assert list(result.to_dict()["q"]) == ["a", "x", "b", "c", "e", "d"]
    own = KReciprocalConfig(k1=3, k2=1, own_weight=1.0)
    same = rerank_k_reciprocal(run, vectors[:1], vectors[1:], np.arange(6), own)
    assert list(same.to_dict()["q"])[:4] == ["a", "x", "c", "b"]


def test_queries_do_not_affect_each_other() -> None:
    rng = np.random.default_rng(0)
    products, queries = unit(rng.normal(size=(20, 4))), unit(rng.normal(size=(3, 4)))
    names = [f"p{i:02}" for i in range(20)]
    scores = {q: dict(zip(names, rng.random(20), strict=True)) for q in "abc"}
    scores["b"] = {"p03": 0.5}
    run = Run.from_dict(scores)
    idx = np.array([names.index(p) for p in run.pools.product_ids])
    together = rerank_k_reciprocal(run, queries, products, idx).to_dict()
    for i, query in enumerate("abc"):
        alone = Run.from_dict({query: scores[query]})
        idx = np.array([names.index(p) for p in alone.pools.product_ids])
        single = rerank_k_reciprocal(alone, queries[i : i + 1], products, idx).to_dict()
        assert single[query] == pytest.approx(together[query])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_tiny_pools_and_equal_vectors(count: int) -> None:
    run = Run.from_dict({"q": {f"p{i}": float(i) for i in range(count)}})
    result = rerank_k_reciprocal(run, np.ones((1, 1)), np.ones((count, 1)), np.arange(count))
    assert np.isfinite(result.scores).all()
    assert list(result.to_dict()["q"]) == [f"p{i}" for i in range(count)][::-1]


@pytest.mark.parametrize(
    "settings", [{"k1": 0}, {"k2": 0}, {"own_weight": 1.5}, {"own_weight": -1}]
)
def test_invalid_settings(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        KReciprocalConfig(**settings)  # type: ignore[arg-type]
