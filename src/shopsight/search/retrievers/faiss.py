"""Embedded vector retrieval with Faiss, one immutable index file per segment.

A small segment is searched exhaustively in float16. A large one is an IVF index of int8 vectors
(Jégou et al., "Product quantization for nearest neighbor search", 2011, without the product
quantization) whose nprobe is tuned at build time for a target recall. Either way somewhat more
products than requested are taken and rescored with the stored vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shopsight.config import IndexConfig, SearchConfig
from shopsight.errors import DataError, UsageError
from shopsight.search.retrievers.base import EMBEDDED, Candidates, QueryBatch, Vectors
from shopsight.types import BoolArray, IntArray, Progress, no_progress

if TYPE_CHECKING:
    from shopsight.search.conditions import Condition
    from shopsight.search.snapshot import Snapshot

ReadVectors = Callable[[IntArray], Vectors]
"""Reads the vectors (n, D) of rows (n,)."""

_POINTS_PER_CENTROID = 40
_KMEANS_ITERATIONS = 8
_BLOCK = 1 << 16
_TUNING_QUERIES = 200
_NPROBE_GROWTH = 1.3
_STABLE = 0.98  # overlap of two searches at which a filtered search stops widening


def faiss_module() -> Any:
    """Import faiss. Raises UsageError if it is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise UsageError("search needs faiss: pip install 'shopsight[search]'") from error
    return faiss


class FaissRetriever:
    """The Faiss files of the index's own segments; see `Retriever`."""

    name = EMBEDDED

    def add(self, snapshot: Snapshot, progress: Progress = no_progress) -> None:
        """Do nothing: a segment is written together with its Faiss file."""

    def remove(self, snapshot: Snapshot) -> None:
        """Do nothing: a search skips removed rows."""

    def close(self) -> None:
        """Do nothing: the snapshot owns the files."""

    def search(
        self, snapshot: Snapshot, queries: QueryBatch, k: int, filters: Sequence[Condition]
    ) -> list[Candidates]:
        """See `Retriever.search`."""
        nearest, cosines = snapshot.nearest(queries.vectors, k, snapshot.allowed(filters))
        return [
            Candidates(rows[rows >= 0], scores[rows >= 0])
            for rows, scores in zip(nearest, cosines, strict=True)
        ]

    def count(self, snapshot: Snapshot) -> int:
        """See `Retriever.count`."""
        return snapshot.generation.products


def build_faiss_index(
    rows: int, read: ReadVectors, path: Path, config: IndexConfig, queries: Vectors | None
) -> dict[str, Any]:
    """Write the Faiss index of a segment of P = ``rows`` products.

    nprobe is tuned on ``queries`` (Q, D), or on products without any. Returns the parameters that
    `FaissIndex.open` needs, and the recall measured.
    """
    faiss = faiss_module()
    dim = read(np.zeros(1, np.int64)).shape[1]
    flat = config.index_type == "auto" and rows <= config.flat_below
    if flat or config.index_type == "flat":
        index = faiss.IndexScalarQuantizer(
            dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        nlist = 0
    else:
        # About 4 * sqrt(rows) lists balance comparisons with centroids and with products.
        nlist = min(config.nlist or 1 << round(math.log2(4 * math.sqrt(rows))), rows)
        index = _trained_ivf(faiss, rows, read, nlist, dim)
    for start in range(0, rows, _BLOCK):
        index.add(np.ascontiguousarray(read(np.arange(start, min(start + _BLOCK, rows)))))
    faiss.write_index(index, str(path))
    if not nlist:
        return {"kind": "flat"}
    rng = np.random.default_rng(0)
    if queries is None or not len(queries):
        queries = read(np.sort(rng.permutation(rows)[:_TUNING_QUERIES]))
    queries = queries[rng.permutation(len(queries))[:_TUNING_QUERIES]]
    return _tune_nprobe(FaissIndex(index, rows, read, nlist), queries, config)


class FaissIndex:
    """An opened Faiss index of a segment; threads may search it concurrently.

    ``nlist`` is 0 for a flat index.
    """

    def __init__(
        self, index: Any, rows: int, read: ReadVectors, nlist: int = 0, nprobe: int = 0
    ) -> None:
        self._index, self.rows, self.read = index, rows, read
        self.nlist, self._nprobe = nlist, nprobe

    @classmethod
    def open(
        cls, path: Path, params: Mapping[str, Any], rows: int, read: ReadVectors
    ) -> FaissIndex:
        """Open what `build_faiss_index` wrote; it returned ``params``."""
        faiss = faiss_module()
        flags = faiss.IO_FLAG_MMAP_IFC if params.get("kind") == "ivf" else 0
        try:
            index = faiss.read_index(str(path), flags)
        except RuntimeError as error:
            raise DataError(f"{path}: missing or damaged; build the index again") from error
        if index.ntotal != rows:
            raise DataError(
                f"{path}: {index.ntotal:,} products, expected {rows:,}; build the index again"
            )
        return cls(index, rows, read, int(params.get("nlist", 0)), int(params.get("nprobe", 0)))

    def search(
        self, queries: Vectors, k: int, allowed: BoolArray | None = None, nprobe: int = 0
    ) -> tuple[IntArray, Vectors]:
        """Find the products nearest to queries (Q, D) of length 1, among those ``allowed`` (P,).

        ``nprobe`` 0 is the tuned one. Returns (Q, min(k, allowed products)) rows, best first,
        padded with -1; and their cosines.
        """
        count = self.rows if allowed is None else int(allowed.sum())
        k = min(k, count)
        if not k or not len(queries):
            blank = np.full((len(queries), k), -1, np.int64)
            return blank, blank.astype(np.float32)
        selective = allowed is not None and count <= SearchConfig().exact_below
        if selective or k == count:
            rows = np.arange(self.rows) if allowed is None else np.flatnonzero(allowed)
            return exact(queries, rows, self.read, k)
        wide = min(count, math.ceil(k * SearchConfig().oversample))
        return self._rescore(queries, self._probe(queries, wide, allowed, nprobe), k)

    def near(self, queries: Vectors, cosine: float) -> list[IntArray]:
        """The rows (n,) with at least a cosine for each query (Q, D); IVF: of the nearest lists."""
        faiss = faiss_module()
        params = faiss.SearchParametersIVF(nprobe=self._nprobe) if self.nlist else None
        limits, _, rows = self._index.range_search(queries, cosine, params=params)
        return [rows[start:stop] for start, stop in pairwise(limits.astype(np.int64).tolist())]

    def _probe(self, queries: Vectors, k: int, allowed: BoolArray | None, nprobe: int) -> IntArray:
        """(Q, k) rows by quantised distance."""
        faiss, selector, nprobe = faiss_module(), None, nprobe or self._nprobe
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)
            nprobe = self._filtered_nprobe(queries, allowed, nprobe)
        previous: IntArray | None = None
        while True:
            if self.nlist:
                params = faiss.SearchParametersIVF(sel=selector, nprobe=nprobe)
            else:
                params = faiss.SearchParameters(sel=selector)
            rows: IntArray = self._index.search(queries, k, params=params)[1]
            # nprobe was tuned without a filter, so a filtered search widens until it is stable.
            stable = allowed is None or (
                previous is not None and overlap(previous, rows) >= _STABLE
            )
            if nprobe >= self.nlist or (stable and bool((rows >= 0).all())):
                return rows
            previous, nprobe = rows, min(self.nlist, nprobe * 2)

    def _filtered_nprobe(self, queries: Vectors, allowed: BoolArray, nprobe: int) -> int:
        """Lists to search so that as many products are compared as without the filter.

        Allowed products may be far from the query (a query for shoes among bags), where the
        nearest lists hold hardly any of them.
        """
        if not self.nlist:
            return 0
        sizes = np.bincount(self._list_of[allowed], minlength=self.nlist)
        _, order = self._index.quantizer.search(queries, self.nlist)
        compared = sizes[order].cumsum(1)  # (Q, nlist)
        enough = compared >= min(nprobe * self.rows / self.nlist, float(sizes.sum()))
        return int(enough.argmax(1).max()) + 1

    @cached_property
    def _list_of(self) -> IntArray:
        """(P,) IVF list of each product."""
        faiss, lists = faiss_module(), self._index.invlists
        list_of = np.empty(self.rows, np.int64)
        for i in range(self.nlist):
            list_of[faiss.rev_swig_ptr(lists.get_ids(i), lists.list_size(i))] = i
        return list_of

    def _rescore(self, queries: Vectors, rows: IntArray, k: int) -> tuple[IntArray, Vectors]:
        """The best k of rows (Q, n) by the stored vectors."""
        distinct, inverse = np.unique(rows, return_inverse=True)
        vectors = self.read(np.maximum(distinct, 0))[inverse.reshape(rows.shape)]
        scores = np.einsum("qd,qnd->qn", queries, vectors).astype(np.float32)
        scores[rows < 0] = -np.inf
        return best_of(rows, scores, k)


def exact(queries: Vectors, rows: IntArray, read: ReadVectors, k: int) -> tuple[IntArray, Vectors]:
    """Exhaustive search among rows (n,); see `FaissIndex.search`."""
    best_rows = np.empty((len(queries), 0), np.int64)
    best = np.empty((len(queries), 0), np.float32)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        best = np.concatenate([best, queries @ read(block).T], axis=1)
        tiled = np.broadcast_to(block, (len(queries), len(block)))
        best_rows = np.concatenate([best_rows, tiled], axis=1)
        if best.shape[1] > k:
            keep = np.argpartition(-best, k - 1, axis=1)[:, :k]
            best = np.take_along_axis(best, keep, 1)
            best_rows = np.take_along_axis(best_rows, keep, 1)
    return best_of(best_rows, best, k)


def best_of(rows: IntArray, scores: Vectors, k: int) -> tuple[IntArray, Vectors]:
    """The k highest-scoring of rows (Q, n), best first; ties keep their order."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)


def overlap(rows: IntArray, expected: IntArray) -> float:
    """Mean fraction of the expected rows (Q, n) among rows (Q, m).

    >>> overlap(np.array([[1, 2, 9]]), np.array([[1, 2, 3, 4]]))
    0.5
    """
    pairs = zip(rows, expected, strict=True)
    fractions = [len(np.intersect1d(row, wanted)) / len(wanted) for row, wanted in pairs]
    return float(np.mean(fractions)) if fractions else 1.0


def _trained_ivf(faiss: Any, rows: int, read: ReadVectors, nlist: int, dim: int) -> Any:
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dim), dim, nlist, faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_INNER_PRODUCT,
    )  # fmt: skip
    index.cp.niter, index.cp.seed, index.cp.spherical = _KMEANS_ITERATIONS, 0, True
    index.cp.min_points_per_centroid = 1
    sample = np.random.default_rng(0).permutation(rows)[: nlist * _POINTS_PER_CENTROID]
    index.train(np.ascontiguousarray(read(np.sort(sample))))
    return index


def _tune_nprobe(index: FaissIndex, queries: Vectors, config: IndexConfig) -> dict[str, Any]:
    """Find the smallest nprobe that reaches the target recall."""
    k = min(config.candidates, index.rows)
    expected, _ = exact(queries, np.arange(index.rows), index.read, k)
    nprobe = 1
    while True:
        rows, _ = index.search(queries, k, nprobe=nprobe)
        recall = overlap(rows, expected)
        if recall >= config.target_recall or nprobe >= index.nlist:
            break
        nprobe = min(index.nlist, max(nprobe + 1, round(nprobe * _NPROBE_GROWTH)))
    return {"kind": "ivf", "nlist": index.nlist, "nprobe": nprobe, "recall": round(recall, 4)}
