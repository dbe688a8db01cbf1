"""Overlap neighbours: for each query, the queries that share the most words, weighted by IDF.

Such negatives are the idea of the first-place team of KDD Cup 2020 (Multimodalities Recall).

All pairs of a million queries are out of reach, so candidates are proposed and then scored exactly.
Each word proposes a sample of its queries, and so does each pair of words: pairs find the queries
that share several frequent words, of which single words propose too few.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopsight.negatives.words import QueryWords
from shopsight.types import IntArray, Progress, no_progress

WEIGHT_STEPS = 4096
"""Word weights are integer multiples of 1 / 4096, whose sums are exact in any order."""

_PAIRED_WORDS = 8
_ROWS = 512
_SCORE_BITS = 31


def idf_weights(queries: QueryWords) -> IntArray:
    """(W,) weight of each word, log(1 + U / df), in units of 1 / `WEIGHT_STEPS`."""
    ratio = len(queries) / np.maximum(queries.frequency, 1)
    weights: IntArray = np.rint(np.log1p(ratio) * WEIGHT_STEPS).astype(np.int64)
    return weights


def overlap_neighbours(
    queries: QueryWords,
    neighbours: int,
    postings: int,
    rng: np.random.Generator,
    workers: int = 1,
    progress: Progress = no_progress,
) -> NDArray[np.int32]:
    """(U, M) queries with the largest weight of shared words, then by index; -1 is padding.

    The result is exact if no word is in more than ``postings`` queries, and otherwise exact among
    the proposed candidates. Threads (``workers``) do not change it. Progress has the stage
    "overlap".
    """
    total = len(queries)
    nearest = np.full((total, neighbours), -1, np.int32)
    if not queries.incidence.nnz or not neighbours:
        return nearest
    weights = idf_weights(queries)
    index = _OverlapIndex(queries.incidence, weights, *_proposals(queries, postings, rng))
    starts = range(0, total, _ROWS)
    with ThreadPoolExecutor(workers) as pool:
        blocks = pool.map(lambda start: index.nearest(start, neighbours), starts)
        for start, block in zip(starts, blocks, strict=True):
            nearest[start : start + _ROWS] = block
            progress("overlap", min(start + _ROWS, total), total)
    return nearest


@dataclass(frozen=True, eq=False)
class _OverlapIndex:
    """Features (words and pairs) of each query, and the queries that each feature proposes."""

    incidence: Any  # (U, W) CSR
    weights: IntArray  # (W,)
    features: Any  # (U, K) CSR of ones
    proposals: Any  # (K, U) CSR of ones

    def nearest(self, start: int, neighbours: int) -> NDArray[np.int32]:
        """(n, M) neighbours of up to `_ROWS` queries from ``start`` on."""
        proposed = self.features[start : start + _ROWS] @ self.proposals
        size = proposed.shape[0]
        rows = np.repeat(np.arange(size), np.diff(proposed.indptr))
        not_self = proposed.indices != rows + start
        rows, candidates = rows[not_self], proposed.indices[not_self]
        scores = self._overlap(start, size, rows, candidates)
        return _top_candidates(rows, scores, candidates, size, neighbours)

    def _overlap(self, start: int, size: int, rows: IntArray, candidates: IntArray) -> IntArray:
        """(n,) weight of the words that query ``start + rows[i]`` shares with candidate ``i``."""
        if not len(rows):
            return np.zeros(0, np.int64)
        own = self.incidence[start : start + size]
        present, local = np.unique(own.indices, return_inverse=True)
        # A small dense weight matrix of this block: column 0 is for words outside it.
        column = np.zeros(len(self.weights), np.int64)
        column[present] = np.arange(1, len(present) + 1)
        weight = np.zeros((size, len(present) + 1), np.int32)
        weight[np.repeat(np.arange(size), np.diff(own.indptr)), local + 1] = self.weights[
            own.indices
        ]
        theirs = self.incidence[candidates]
        cells = np.repeat(rows * weight.shape[1], np.diff(theirs.indptr))
        cells += column.take(theirs.indices)
        return np.add.reduceat(weight.ravel().take(cells), theirs.indptr[:-1], dtype=np.int64)


def _top_candidates(
    rows: IntArray, scores: IntArray, candidates: IntArray, size: int, count: int
) -> NDArray[np.int32]:
    """(size, count) candidates of each row with the highest scores, then the lowest indices."""
    # Row, score and candidate in one 64-bit key sort several times faster than three columns.
    bits = max(int(candidates.max(initial=0)).bit_length(), 1)
    complement = (1 << _SCORE_BITS) - 1 - np.minimum(scores, (1 << _SCORE_BITS) - 1)
    keys = (rows.astype(np.uint64) << np.uint64(_SCORE_BITS + bits)) | (
        complement.astype(np.uint64) << np.uint64(bits)
    )
    keys |= candidates.astype(np.uint64)
    keys.sort()
    sizes = np.bincount(rows, minlength=size)
    rank = np.arange(len(keys)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = rank < count
    top = np.full((size, count), -1, np.int32)
    top[rows[kept], rank[kept]] = (keys[kept] & np.uint64((1 << bits) - 1)).astype(np.int32)
    return top


def _proposals(queries: QueryWords, postings: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """(U, K) features of the queries and (K, U) queries that the features propose, as CSR."""
    from scipy.sparse import csr_matrix

    keys, rows = _keys(queries)
    order = np.lexsort((rng.random(len(keys), np.float32), keys))
    keys, rows = keys[order], rows[order]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    sizes = np.diff(np.append(starts, len(keys)))
    feature = np.repeat(np.arange(len(starts), dtype=np.int32), sizes)
    rank = np.arange(len(keys)) - np.repeat(starts, sizes)
    common = np.repeat(sizes > 1, sizes)  # a feature of a single query proposes no other
    proposed = common & (rank < postings)
    shape = (len(queries), len(starts))

    def ones(selected: NDArray[np.bool_]) -> Any:
        data = np.ones(int(selected.sum()), np.float32)
        return csr_matrix((data, (rows[selected], feature[selected])), shape=shape)

    return ones(common), ones(proposed).T.tocsr()


def _keys(queries: QueryWords) -> tuple[IntArray, NDArray[np.int32]]:
    """(N,) keys of the words and pairs of words of queries, and (N,) the query of each.

    Long queries have the pairs of their rarest words only.
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
    """(n, at most 8) rarest words of each row of sorted words (n, L), sorted."""
    if table.shape[1] <= _PAIRED_WORDS:
        return table
    rarest = np.argsort(frequency[table], axis=1, kind="stable")[:, :_PAIRED_WORDS]
    return np.sort(np.take_along_axis(table, rarest, axis=1), axis=1)
