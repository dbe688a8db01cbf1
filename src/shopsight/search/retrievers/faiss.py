"""Retrieval inside one part: the products whose vectors are nearest to a query's, through faiss.

A small part compares with every product (float16, exact up to that). A large one keeps int8
vectors in lists around centres and looks into the nearest lists only (Jégou et al., "Product
quantization for nearest neighbor search", 2011, without the product quantization): how many is
chosen when it is built, for a wanted share of the truly nearest. Either way a few more than asked
for are taken, and the best by their stored vectors stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopsight.config import IndexConfig, SearchConfig
from shopsight.errors import DataError, UsageError
from shopsight.types import BoolArray, IntArray

Vectors = NDArray[np.float32]
Read = Callable[[IntArray], Vectors]
"""From rows (n,) of a part to their vectors (n, D)."""

_TRAINED_ON = 40  # vectors for each centre
_ROUNDS = 8
_AT_ONCE = 1 << 16
_TUNED_ON = 200
_GROWTH = 1.3
_SETTLED = 0.98  # share of what was found that more lists must leave as it is


def faiss_module() -> Any:
    """The module ``faiss``. Raises UsageError where it is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise UsageError("search needs faiss: pip install 'shopsight[search]'") from error
    return faiss


def build_faiss_index(
    rows: int, read: Read, path: Path, config: IndexConfig, queries: Vectors | None, seed: int = 0
) -> dict[str, Any]:
    """Write a part's recall index.

    Args:
        rows: P, its products.
        read: reads their vectors.
        path: the file.
        config: how.
        queries: (Q, D) vectors of real queries, for the number of lists that are looked into;
            products' own if there are none.
        seed: of the centres.

    Returns:
        What `FaissIndex` needs to know, and the share of the truly nearest that was found.
    """
    faiss = faiss_module()
    flat = config.index_type == "flat" or (
        config.index_type == "auto" and rows <= config.flat_below
    )
    width = read(np.zeros(1, np.int64)).shape[1]
    if flat:
        index = faiss.IndexScalarQuantizer(
            width, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        _fill(index, rows, read)
        faiss.write_index(index, str(path))
        return {"kind": "flat"}
    lists = min(config.nlist or _lists(rows), rows)
    index = _trained(faiss, rows, read, lists, width, seed)
    _fill(index, rows, read)
    faiss.write_index(index, str(path))
    rng = np.random.default_rng(seed)
    if queries is None or not len(queries):
        queries = read(np.sort(rng.permutation(rows)[:_TUNED_ON]))
    queries = queries[rng.permutation(len(queries))[:_TUNED_ON]]
    return _tuned(index, lists, rows, read, queries, config)


class FaissIndex:
    """A part's recall index; several threads may search it at once.

    Args:
        index: faiss's.
        rows: P, products of the part.
        read: reads their vectors.
        lists: of an ivf index; 0 for a flat one.
        probes: lists that are looked into.
    """

    def __init__(self, index: Any, rows: int, read: Read, lists: int = 0, probes: int = 0) -> None:
        self._index, self.rows, self._read = index, rows, read
        self._lists, self._probes = lists, probes

    @classmethod
    def open(cls, path: Path, about: Mapping[str, Any], rows: int, read: Read) -> FaissIndex:
        """Open what `build_faiss_index` wrote.

        Args:
            path: the file.
            about: what `build_faiss_index` said.
            rows: P.
            read: reads vectors of the part.

        Raises:
            DataError: the file is missing or damaged.
        """
        faiss = faiss_module()
        flags = faiss.IO_FLAG_MMAP_IFC if about.get("kind") == "ivf" else 0
        try:
            index = faiss.read_index(str(path), flags)
        except RuntimeError as error:
            raise DataError(f"{path}: missing or damaged; make the index again") from error
        if index.ntotal != rows:
            raise DataError(f"{path}: not of {rows:,} products; make the index again")
        return cls(index, rows, read, int(about.get("lists", 0)), int(about.get("probes", 0)))

    def search(
        self, queries: Vectors, depth: int, allowed: BoolArray | None = None, probes: int = 0
    ) -> tuple[IntArray, Vectors]:
        """The nearest products of queries (Q, D).

        Args:
            queries: of length 1.
            depth: how many products for each.
            allowed: (P,) which products may be found; all if left out.
            probes: lists that are looked into; as many as were chosen if left out.

        Returns:
            (Q, depth) rows, best first and -1 where there are no more, and their cosines.
        """
        count = self.rows if allowed is None else int(allowed.sum())
        depth = min(depth, count)
        blank = np.full((len(queries), depth), -1, np.int64)
        if not depth or not len(queries):
            return blank, blank.astype(np.float32)
        few = allowed is not None and count <= SearchConfig().exact_below
        if few or depth == count:
            rows = np.arange(self.rows) if allowed is None else np.flatnonzero(allowed)
            return exact(queries, rows, self._read, depth)
        wanted = min(count, math.ceil(depth * SearchConfig().oversample))
        found = self._found(queries, wanted, allowed, probes or self._probes)
        return self._rescored(queries, found, depth)

    def _found(
        self, queries: Vectors, wanted: int, allowed: BoolArray | None, probes: int
    ) -> IntArray:
        """(Q, wanted) rows by the faiss index.

        With a filter it looks into twice as many lists until that changes hardly anything: how
        many are enough was measured without one.
        """
        faiss, selector = faiss_module(), None
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)
            probes = self._filtered_probes(queries, allowed, probes)
        before: IntArray | None = None
        while True:
            if self._lists:
                how = faiss.SearchParametersIVF(sel=selector, nprobe=probes)
            else:
                how = faiss.SearchParameters(sel=selector)
            found: IntArray = self._index.search(queries, wanted, params=how)[1]
            settled = allowed is None or (before is not None and overlap(before, found) >= _SETTLED)
            if probes >= self._lists or (settled and bool((found >= 0).all())):
                return found
            before, probes = found, min(self._lists, probes * 2)

    def _filtered_probes(self, queries: Vectors, allowed: BoolArray, probes: int) -> int:
        """Lists to look into so that as many products are compared as without the filter.

        What a filter allows may stand far from the query (a query for shoes among bags), where
        the nearest lists hold hardly any of it.
        """
        if not self._lists:
            return 0
        held = np.bincount(self._list_of[allowed], minlength=self._lists)
        _, order = self._index.quantizer.search(queries, self._lists)
        compared = held[order].cumsum(1)  # (Q, lists)
        enough = compared >= min(probes * self.rows / self._lists, float(held.sum()))
        return int(enough.argmax(1).max()) + 1

    @cached_property
    def _list_of(self) -> IntArray:
        """(P,) the list of each product."""
        faiss, lists = faiss_module(), self._index.invlists
        found = np.empty(self.rows, np.int64)
        for one in range(self._lists):
            found[faiss.rev_swig_ptr(lists.get_ids(one), lists.list_size(one))] = one
        return found

    def _rescored(self, queries: Vectors, found: IntArray, depth: int) -> tuple[IntArray, Vectors]:
        rows, at = np.unique(found, return_inverse=True)
        vectors = self._read(np.maximum(rows, 0))
        taken = vectors[at.reshape(found.shape)]
        scores = np.einsum("qd,qnd->qn", queries, taken).astype(np.float32)
        scores[found < 0] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
        return np.take_along_axis(found, order, 1), np.take_along_axis(scores, order, 1)


def exact(queries: Vectors, rows: IntArray, read: Read, depth: int) -> tuple[IntArray, Vectors]:
    """The nearest among some rows (n,), by comparing with every one; see `FaissIndex.search`."""
    best_rows = np.empty((len(queries), 0), np.int64)
    best = np.empty((len(queries), 0), np.float32)
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        best = np.concatenate([best, queries @ read(part).T], axis=1)
        best_rows = np.concatenate([best_rows, np.broadcast_to(part, (len(queries), len(part)))], 1)
        if best.shape[1] > depth:
            keep = np.argpartition(-best, depth - 1, axis=1)[:, :depth]
            best = np.take_along_axis(best, keep, 1)
            best_rows = np.take_along_axis(best_rows, keep, 1)
    order = np.argsort(-best, axis=1, kind="stable")
    return np.take_along_axis(best_rows, order, 1), np.take_along_axis(best, order, 1)


def overlap(found: IntArray, wanted: IntArray) -> float:
    """Mean share of the wanted rows (Q, n) that were found (Q, m).

    >>> overlap(np.array([[1, 2, 9]]), np.array([[1, 2, 3, 4]]))
    0.5
    """
    shares = [len(np.intersect1d(f, w)) / len(w) for f, w in zip(found, wanted, strict=True)]
    return float(np.mean(shares)) if shares else 1.0


def _lists(rows: int) -> int:
    """About four times the root, which balances comparing with centres and with products."""
    return max(1, 1 << round(math.log2(4 * math.sqrt(rows))))


def _trained(faiss: Any, rows: int, read: Read, lists: int, width: int, seed: int) -> Any:
    centres = faiss.IndexFlatIP(width)
    index = faiss.IndexIVFScalarQuantizer(
        centres, width, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.niter, index.cp.seed, index.cp.spherical = _ROUNDS, seed, True
    index.cp.min_points_per_centroid = 1
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(rows)[: lists * _TRAINED_ON])
    index.train(np.ascontiguousarray(read(sample)))
    return index


def _fill(index: Any, rows: int, read: Read) -> None:
    for start in range(0, rows, _AT_ONCE):
        index.add(np.ascontiguousarray(read(np.arange(start, min(start + _AT_ONCE, rows)))))


def _tuned(
    index: Any, lists: int, rows: int, read: Read, queries: Vectors, config: IndexConfig
) -> dict[str, Any]:
    """The fewest lists that find the wanted share of the nearest products."""
    depth = min(config.candidates, rows)
    wanted, _ = exact(queries, np.arange(rows), read, depth)
    opened = FaissIndex(index, rows, read, lists)
    probes = 1
    while True:
        found, _ = opened.search(queries, depth, probes=probes)
        share = overlap(found, wanted)
        if share >= config.target_recall or probes >= lists:
            break
        probes = min(lists, max(probes + 1, round(probes * _GROWTH)))
    return {"kind": "ivf", "lists": lists, "probes": probes, "found": round(share, 4)}
