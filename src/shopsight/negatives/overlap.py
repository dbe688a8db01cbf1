"""For each query, the queries that share the most words with it, rare words counting more.

Negatives that share words with the query are the idea of the first-place team of KDD Cup 2020
(Multimodalities Recall). The weight of a word is its inverse document frequency, log(1 + U / df).

Comparing U queries with each other is out of reach at a million, so candidates are proposed and
then scored exactly. A word proposes a few of its queries, and so does a pair of words: the pairs
find those that share several frequent words, of which single words would propose too few.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopsight.negatives.words import Progress, QueryWords
from shopsight.types import IntArray

WEIGHT_STEPS = 4096
"""Word weights are whole multiples of 1 / 4096: sums of them are exact in any order."""

_PAIRED_WORDS = 8
_ROWS = 512
_SCORE_BITS = 31


def word_weights(queries: QueryWords) -> IntArray:
    """(W,) the weight of each word, log(1 + U / df), in steps of 1 / `WEIGHT_STEPS`."""
    ratio = len(queries) / np.maximum(queries.frequency, 1)
    weights: IntArray = np.rint(np.log1p(ratio) * WEIGHT_STEPS).astype(np.int64)
    return weights


def overlap_neighbours(
    queries: QueryWords,
    neighbours: int,
    postings: int,
    rng: np.random.Generator,
    workers: int = 1,
    progress: Progress | None = None,
) -> NDArray[np.int32]:
    """The queries with the largest weight of shared words, for each query.

    Where no word is in more than ``postings`` queries the result is exact; otherwise it is exact
    among the candidates proposed.

    Args:
        queries: U distinct queries.
        neighbours: M, most neighbours of a query.
        postings: most queries that a word, or a pair of words, proposes; a sample beyond.
        rng: draws the samples.
        workers: threads; the result does not depend on them.
        progress: told about stage "overlap".

    Returns:
        (U, M) query numbers, most overlap first and then by number; -1 where no more queries
        share a word.
    """
    total = len(queries)
    found = np.full((total, neighbours), -1, np.int32)
    if not queries.incidence.nnz or not neighbours:
        return found
    search = _Search(queries.incidence, word_weights(queries), *_index(queries, postings, rng))
    starts = range(0, total, _ROWS)
    with ThreadPoolExecutor(workers) as pool:
        for start, best in zip(
            starts, pool.map(lambda s: search.best(s, neighbours), starts), strict=True
        ):
            found[start : start + _ROWS] = best
            if progress:
                progress("overlap", min(start + _ROWS, total), total)
    return found


@dataclass(frozen=True, eq=False)
class _Search:
    """The features (words and pairs) of each query, and the queries that a feature proposes."""

    incidence: Any  # (U, W) CSR
    weights: IntArray  # (W,)
    features: Any  # (U, K) CSR of ones
    proposals: Any  # (K, U) CSR of ones

    def best(self, start: int, neighbours: int) -> NDArray[np.int32]:
        """(n, M) neighbours of the queries from ``start`` on, up to `_ROWS` of them."""
        proposed = self.features[start : start + _ROWS] @ self.proposals
        size = proposed.shape[0]
        rows = np.repeat(np.arange(size), np.diff(proposed.indptr))
        other = proposed.indices != rows + start
        rows, candidates = rows[other], proposed.indices[other]
        scores = self._overlap(start, size, rows, candidates)
        return _first_of_each(rows, scores, candidates, size, neighbours)

    def _overlap(self, start: int, size: int, rows: IntArray, candidates: IntArray) -> IntArray:
        """(n,) summed weight of the words that query ``start + rows[i]`` shares with another."""
        if not len(rows):
            return np.zeros(0, np.int64)
        own = self.incidence[start : start + size]
        present, local = np.unique(own.indices, return_inverse=True)
        column = np.zeros(len(self.weights), np.int64)  # column 0: not a word of these queries
        column[present] = np.arange(1, len(present) + 1)
        weight = np.zeros((size, len(present) + 1), np.int32)
        weight[np.repeat(np.arange(size), np.diff(own.indptr)), local + 1] = self.weights[
            own.indices
        ]
        theirs = self.incidence[candidates]
        cells = np.repeat(rows * weight.shape[1], np.diff(theirs.indptr))
        cells += column.take(theirs.indices)
        return np.add.reduceat(weight.ravel().take(cells), theirs.indptr[:-1], dtype=np.int64)


def _first_of_each(
    rows: IntArray, scores: IntArray, candidates: IntArray, size: int, count: int
) -> NDArray[np.int32]:
    """(size, count) the candidates of each row with the highest scores, then lowest numbers.

    Row, score and candidate are packed into one 64-bit key each, which sorts several times
    faster than the three apart.
    """
    bits = max(int(candidates.max(initial=0)).bit_length(), 1)
    lost = (1 << _SCORE_BITS) - 1 - np.minimum(scores, (1 << _SCORE_BITS) - 1)
    keys = (rows.astype(np.uint64) << np.uint64(_SCORE_BITS + bits)) | (
        lost.astype(np.uint64) << np.uint64(bits)
    )
    keys |= candidates.astype(np.uint64)
    keys.sort()
    sizes = np.bincount(rows, minlength=size)
    rank = np.arange(len(keys)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = rank < count
    first = np.full((size, count), -1, np.int32)
    first[rows[kept], rank[kept]] = (keys[kept] & np.uint64((1 << bits) - 1)).astype(np.int32)
    return first


def _index(queries: QueryWords, postings: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """The (U, K) features of the queries and the (K, U) proposals of the features."""
    from scipy.sparse import csr_matrix

    keys, rows = _keys(queries)
    order = np.lexsort((rng.random(len(keys), np.float32), keys))
    keys, rows = keys[order], rows[order]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    sizes = np.diff(np.append(starts, len(keys)))
    feature = np.repeat(np.arange(len(starts), dtype=np.int32), sizes)
    rank = np.arange(len(keys)) - np.repeat(starts, sizes)
    common = np.repeat(sizes > 1, sizes)  # a feature of one query proposes no_progress else
    proposed = common & (rank < postings)
    shape = (len(queries), len(starts))

    def ones(which: NDArray[np.bool_]) -> Any:
        data = np.ones(int(which.sum()), np.float32)
        return csr_matrix((data, (rows[which], feature[which])), shape=shape)

    return ones(common), ones(proposed).T.tocsr()


def _keys(queries: QueryWords) -> tuple[IntArray, NDArray[np.int32]]:
    """(N,) a number for every word, and every pair of words, of a query; (N,) that query.

    The pairs of a long query are those of its rarest words.
    """
    incidence, vocabulary = queries.incidence, queries.incidence.shape[1]
    lengths = np.diff(incidence.indptr)
    keys = [incidence.indices.astype(np.int64)]
    rows = [np.repeat(np.arange(len(queries), dtype=np.int32), lengths)]
    for length in np.unique(lengths[lengths > 1]):
        same = np.flatnonzero(lengths == length)
        table = incidence.indices[incidence.indptr[same][:, None] + np.arange(length)]
        table = _rarest(table, queries.frequency).astype(np.int64)
        for a, b in combinations(range(table.shape[1]), 2):
            keys.append((table[:, a] + 1) * vocabulary + table[:, b])
            rows.append(same.astype(np.int32))
    return np.concatenate(keys), np.concatenate(rows)


def _rarest(table: NDArray[np.int32], frequency: IntArray) -> NDArray[np.int32]:
    """(n, at most 8) the rarest words of (n, L) sorted words, sorted again."""
    if table.shape[1] <= _PAIRED_WORDS:
        return table
    rarest = np.argsort(frequency[table], axis=1, kind="stable")[:, :_PAIRED_WORDS]
    return np.sort(np.take_along_axis(table, rarest, axis=1), axis=1)
