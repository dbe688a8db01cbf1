"""Word-centroid baseline: a ranker without a neural network, for comparison with trained models.

A word is represented by the products clicked for it: its centroid is their mean vector relative to
the mean of all clicked products (Rocchio's classifier, one class per word; Rocchio 1971). A query
is the sum of its words' centroids, each weighted by its inverse document frequency

    idf(w) = log(1 + N / n_w),   N clicked pairs, n_w of them with the word

and a product scores the idf-weighted cosine  sum_w idf(w) <centroid_w, product>. A model that does
not beat this has learned no more than the average product of each word.
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
    """Unit vectors (V, F) and idf (V,) of V words, by row; the mean (F,) of clicked products."""

    words: dict[str, int]
    vectors: Vectors
    idf: FloatArray
    mean: Vectors


def pool_regions(
    features: Vectors, lengths: IntArray, reduction: Literal["mean", "max"]
) -> Vectors:
    """(B, F) mean or maximum over (R, F) packed regions, ``lengths`` (B,) of each product.

    >>> pool_regions(np.array([[1, 4], [3, 2], [5, 5]], np.float32), np.array([2, 1]), "mean")
    array([[2., 3.],
           [5., 5.]], dtype=float32)
    """
    starts = np.cumsum(lengths) - lengths
    features = features.astype(np.float32, copy=False)  # the store's float16 is too coarse to sum
    if reduction == "max":
        return np.maximum.reduceat(features, starts)
    sums = np.add.reduceat(features, starts)
    sums /= lengths[:, None]
    return sums


def word_centroids(
    batches: Iterable[tuple[Sequence[Sequence[str]], Vectors]], min_pairs: int = 4
) -> WordCentroids:
    """Compute the centroids in one pass over clicked pairs. Raises ValueError without pairs.

    Args:
        batches: for each batch of B pairs, the words of each query and the (B, F) vectors of
            the clicked products. A word counts once per query.
        min_pairs: rarer words are dropped: the mean of so few products is an accident.
    """
    sums: _Sums | None = None
    for tokens, vectors in batches:
        sums = sums or _Sums(vectors.shape[1])
        sums.add(tokens, vectors)
    if sums is None or not sums.pairs:
        raise ValueError("cannot learn word centroids from no clicked pairs")
    mean = sums.total / sums.pairs
    kept = np.flatnonzero(sums.pairs_of_word >= min_pairs)
    words = list(sums.words)
    counts = sums.pairs_of_word[kept]
    return WordCentroids(
        words={words[old]: new for new, old in enumerate(kept.tolist())},
        vectors=_unit(sums.of_word[kept] / counts[:, None] - mean),
        idf=np.log1p(sums.pairs / counts),
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
    """Score every candidate of Q pools, N in all; unknown words are ignored.

    Args:
        tokens: the words of each of the Q queries.
        vectors: (P, F) vectors of distinct products, pooled as in training.
        product_idx: (N,) row of ``vectors`` of each candidate.
    """
    queries = np.zeros((len(pools), centroids.vectors.shape[1]), np.float32)
    for query_idx, words in enumerate(tokens):
        rows = [centroids.words[word] for word in dict.fromkeys(words) if word in centroids.words]
        queries[query_idx] = centroids.idf[rows] @ centroids.vectors[rows]
    products = _unit(vectors - centroids.mean)
    scores = np.empty(len(product_idx))
    for start in range(0, len(scores), _CHUNK):
        part = slice(start, start + _CHUNK)
        pairs = queries[pools.query_idx[part]], products[product_idx[part]]
        scores[part] = np.einsum("nf,nf->n", *pairs, dtype=np.float64)
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
        new = len(self.words) - len(self.pairs_of_word)
        self.of_word = np.pad(self.of_word, ((0, new), (0, 0)))
        self.pairs_of_word = np.pad(self.pairs_of_word, (0, new))
        np.add.at(self.of_word, word, vectors[row])
        np.add.at(self.pairs_of_word, word, 1)
        self.total += vectors.sum(0, dtype=np.float64)
        self.pairs += len(tokens)


def _unit(vectors: FloatArray | Vectors) -> Vectors:
    """Rows scaled to length 1; zero rows stay zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)
