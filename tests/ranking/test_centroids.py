"""Word centroids: by hand, against a naive version, and edge cases."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from shopsight.ranking.centroids import pool_regions, score_pools, word_centroids
from shopsight.types import Pools

PAIRS = [["red", "dress"], ["dress"], ["red", "sofa", "red"]]
VECTORS = np.array([[3, 0], [1, 0], [2, 6]], np.float32)


def test_by_hand() -> None:
    centroids = word_centroids([(PAIRS, VECTORS)], min_pairs=1)
    assert centroids.mean.tolist() == [2, 2]
    assert list(centroids.words) == ["red", "dress", "sofa"]
    # means: red (2.5, 3), dress (2, 0), sofa (2, 6); relative to (2, 2), scaled to length 1
    red = [0.5 / math.hypot(0.5, 1), 1 / math.hypot(0.5, 1)]
    np.testing.assert_allclose(centroids.vectors, [red, [0, -1], [0, 1]], rtol=1e-6)
    np.testing.assert_allclose(centroids.idf, np.log([1 + 3 / 2, 1 + 3 / 2, 1 + 3]), rtol=1e-12)

    pools = Pools.from_dict({"q": ["a", "b"]})
    products = np.array([[2, 5], [6, 2]], np.float32)  # relative to the mean: up, right
    run = score_pools(centroids, pools, [["red", "dress"]], products, np.array([0, 1]))
    weight = math.log(2.5)
    expected = [weight * (red[1] - 1), weight * red[0]]
    np.testing.assert_allclose(run.scores, expected, rtol=1e-5)


def naive_scores(
    pairs: list[list[str]], clicked: Any, query: list[str], products: Any
) -> list[float]:
    mean = clicked.mean(0)
    scores = []
    for product in products:
        unit = (product - mean) / np.linalg.norm(product - mean)
        score = 0.0
        for word in set(query):
            clicks = [v for words, v in zip(pairs, clicked, strict=True) if word in words]
            if clicks:
                centroid = np.mean(clicks, axis=0) - mean
                score += math.log(1 + len(pairs) / len(clicks)) * float(
                    centroid / np.linalg.norm(centroid) @ unit
                )
        scores.append(score)
    return scores


@pytest.mark.parametrize("batch", [1, 7, 50])
def test_equals_naive_for_any_batch_size(batch: int) -> None:
    rng = np.random.default_rng(batch)
    words = [f"w{i}" for i in range(12)]
    pairs = [rng.choice(words, rng.integers(0, 5)).tolist() for _ in range(50)]
    clicked = rng.random((50, 6)).astype(np.float32)
    products = rng.random((9, 6)).astype(np.float32)
    starts = range(0, 50, batch)
    batches = ((pairs[i : i + batch], clicked[i : i + batch]) for i in starts)
    centroids = word_centroids(batches, min_pairs=1)
    queries = [["w1", "w2", "w1"], ["w3", "never"], ["w0", "w4", "w5", "w6"]]
    pools = Pools.from_dict({"a": "012", "b": "5678", "c": "08"})
    product_idx = np.array([int(product) for product in pools.product_ids])
    run = score_pools(centroids, pools, queries, products, product_idx)
    for i, query in enumerate(queries):
        part = slice(pools.offsets[i], pools.offsets[i + 1])
        expected = naive_scores(pairs, clicked.astype(float), query, products[product_idx[part]])
        np.testing.assert_allclose(run.scores[part], expected, atol=1e-6)


def test_scores_do_not_depend_on_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    centroids = word_centroids([(PAIRS, VECTORS)], min_pairs=1)
    pools = Pools.from_dict({"p": "abc", "q": "cb"})
    product_idx = np.array([0, 1, 2, 2, 1])
    whole = score_pools(centroids, pools, [["red"], ["dress"]], VECTORS, product_idx).scores
    monkeypatch.setattr("shopsight.ranking.centroids._CHUNK", 2)
    assert score_pools(
        centroids, pools, [["red"], ["dress"]], VECTORS, product_idx
    ).scores.tolist() == (whole.tolist())


def test_query_of_unknown_words_scores_zero() -> None:
    centroids = word_centroids([(PAIRS, VECTORS)], min_pairs=1)
    pools = Pools.from_dict({"q": ["a", "b"]})
    run = score_pools(centroids, pools, [["never", "seen"]], VECTORS, np.array([0, 2]))
    assert run.scores.tolist() == [0, 0]


def test_product_at_the_mean_scores_zero() -> None:
    centroids = word_centroids([(PAIRS, VECTORS)], min_pairs=1)
    pools = Pools.from_dict({"q": ["a"]})
    run = score_pools(centroids, pools, [["red"]], np.array([[2, 2]], np.float32), np.array([0]))
    assert run.scores.tolist() == [0]


def test_rare_words_are_dropped() -> None:
    centroids = word_centroids([(PAIRS, VECTORS)], min_pairs=2)
    everything = word_centroids([(PAIRS, VECTORS)], min_pairs=1)
    assert centroids.words == {"red": 0, "dress": 1}
    assert centroids.vectors.tolist() == everything.vectors[:2].tolist()
    assert centroids.mean.tolist() == everything.mean.tolist()


@pytest.mark.parametrize("batches", [[], [([], np.zeros((0, 3), np.float32))]])
def test_no_pairs_raise(batches: Any) -> None:
    with pytest.raises(ValueError, match="no clicked pairs"):
        word_centroids(batches)


@pytest.mark.parametrize("reduction", ["mean", "max"])
def test_pooling_equals_a_loop_in_float32(reduction: Any) -> None:
    rng = np.random.default_rng(0)
    lengths = np.array([3, 1, 40, 2])
    features = (rng.random((46, 5)) * 1000).astype(np.float16)
    vectors = pool_regions(features, lengths, reduction)
    assert vectors.dtype == np.float32
    loop = [getattr(part.astype(float), reduction)(0) for part in np.split(features, [3, 4, 44])]
    np.testing.assert_allclose(vectors, loop, rtol=1e-6)
