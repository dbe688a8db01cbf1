"""Word centroids: a ranker without a neural network, to hold every trained one against.

A word means the products that people clicked when they typed it: its centroid is their mean
vector, seen from the mean of all clicked products (Rocchio's idea, one class per word). A
query is the sum of its words' centroids, each weighted by its inverse document frequency

    idf(w) = log(1 + N / n_w),   N clicked pairs, n_w of them with the word

and a product scores the cosine-weighted sum  sum_w idf(w) <centroid_w, product>. A model that
does not beat this has not learned to see more than the average product of a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shopsight.types import FloatArray, IntArray, Pools, Run

Vectors = NDArray[np.float32]
_CHUNK = 4096  # candidates scored at a time


@dataclass(frozen=True, eq=False)
class WordCentroids:
    """What was learned from clicks: V words in vectors of width F.

    Attributes:
        words: each word's row.
        vectors: (V, F) unit length, or zero where a word has no direction.
        idf: (V,) weight of each word.
        mean: (F,) mean of all clicked products.
    """

    words: dict[str, int]
    vectors: Vectors
    idf: FloatArray
    mean: Vectors


def pool_regions(features: Vectors, lengths: IntArray, how: Literal["mean", "max"]) -> Vectors:
    """One vector per product: the mean, or the maximum, over its regions.

    Args:
        features: (R, F) the regions of B products, packed.
        lengths: (B,) regions of each product, at least one.
        how: what to take over the regions.

    Returns:
        (B, F).

    >>> pool_regions(np.array([[1, 4], [3, 2], [5, 5]], np.float32), np.array([2, 1]), "mean")
    array([[2., 3.],
           [5., 5.]], dtype=float32)
    """
    starts = np.cumsum(lengths) - lengths
    features = features.astype(np.float32, copy=False)  # the store's float16 is too coarse to sum
    if how == "max":
        return np.maximum.reduceat(features, starts)
    sums = np.add.reduceat(features, starts)
    sums /= lengths[:, None]
    return sums


def word_centroids(
    batches: Iterable[tuple[Sequence[Sequence[str]], Vectors]], min_pairs: int = 4
) -> WordCentroids:
    """Learn the centroids from clicked pairs, batch by batch, in one pass.

    Args:
        batches: for each batch of B pairs, the words of each query and the (B, F) vectors of
            the clicked products. A word counts once per query.
        min_pairs: words of fewer pairs say nothing: their mean is one product's accident.

    Raises:
        ValueError: no pairs.
    """
    seen: _Sums | None = None
    for tokens, vectors in batches:
        seen = seen or _Sums(vectors.shape[1])
        seen.add(tokens, vectors)
    if seen is None or not seen.pairs:
        raise ValueError("there are no clicked pairs to learn words from")
    mean = seen.total / seen.pairs
    kept = np.flatnonzero(seen.pairs_of_word >= min_pairs)
    names = list(seen.words)
    often = seen.pairs_of_word[kept]
    return WordCentroids(
        words={names[old]: new for new, old in enumerate(kept.tolist())},
        vectors=_unit(seen.of_word[kept] / often[:, None] - mean),
        idf=np.log1p(seen.pairs / often),
        mean=mean.astype(np.float32),
    )


def score_pools(
    centroids: WordCentroids,
    pools: Pools,
    tokens: Sequence[Sequence[str]],
    vectors: Vectors,
    product_idx: IntArray,
    name: str = "word centroids",
) -> Run:
    """Score every candidate of every pool.

    Args:
        centroids: what `word_centroids` learned.
        pools: Q queries, N candidates.
        tokens: the words of each of the Q queries; words never seen say nothing.
        vectors: (P, F) vectors of distinct products, pooled as in training.
        product_idx: (N,) the row of ``vectors`` of each candidate.
        name: of the run.
    """
    queries = np.zeros((len(pools), centroids.vectors.shape[1]), np.float32)
    for i, words in enumerate(tokens):
        known = [centroids.words[word] for word in dict.fromkeys(words) if word in centroids.words]
        queries[i] = centroids.idf[known] @ centroids.vectors[known]
    products = _unit(vectors - centroids.mean)
    scores = np.empty(len(product_idx))
    for start in range(0, len(scores), _CHUNK):
        part = slice(start, start + _CHUNK)
        asked, offered = queries[pools.query_idx[part]], products[product_idx[part]]
        scores[part] = np.einsum("nf,nf->n", asked, offered, dtype=np.float64)
    return Run(pools, scores, name)


class _Sums:
    """Running sums of clicked vectors: over all pairs, and over the pairs of each word."""

    def __init__(self, width: int) -> None:
        self.words: dict[str, int] = {}
        self.pairs = 0
        self.total = np.zeros(width)
        self.pairs_of_word = np.zeros(0)
        self.of_word = np.zeros((0, width))

    def add(self, tokens: Sequence[Sequence[str]], vectors: Vectors) -> None:
        occurrences = [
            (row, self.words.setdefault(word, len(self.words)))
            for row, query in enumerate(tokens)
            for word in dict.fromkeys(query)
        ]
        row, word = np.array(occurrences, np.int64).reshape(-1, 2).T
        self.of_word = _grown(self.of_word, len(self.words))
        self.pairs_of_word = _grown(self.pairs_of_word, len(self.words))
        order = np.argsort(word, kind="stable")
        present, starts, often = np.unique(word[order], return_index=True, return_counts=True)
        if len(present):
            clicked = vectors[row[order]]
            self.of_word[present] += np.add.reduceat(clicked, starts, dtype=np.float64)
            self.pairs_of_word[present] += often
        self.total += vectors.sum(0, dtype=np.float64)
        self.pairs += len(tokens)


def _grown(array: FloatArray, length: int) -> FloatArray:
    """``array`` with zero rows behind, ``length`` rows in all."""
    return np.concatenate([array, np.zeros((length - len(array), *array.shape[1:]))])


def _unit(vectors: FloatArray | Vectors) -> Vectors:
    """Rows at length one; rows of length zero stay zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)
