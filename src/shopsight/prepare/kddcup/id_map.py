"""A compact map of ids met so far, for tens of millions of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopsight.types import IntArray

_RECENT = 1 << 16


class IdMap:
    """Map of 64-bit ids to (index in order of arrival, 64-bit digest); 24 bytes an id.

    A dictionary would take some 200 bytes an id. Recent ids are in a dictionary, the others in
    sorted arrays, which are merged whenever the dictionary exceeds a fraction of them: the cost
    of merging stays proportional to the number of ids.

    >>> index = IdMap()
    >>> index.add(7, 111)
    0
    >>> index.get(7), index.get(8)
    ((0, 111), None)
    """

    def __init__(self) -> None:
        self._ids: IntArray = np.empty(0, np.int64)
        self._index: IntArray = np.empty(0, np.int64)
        self._digests: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._recent: dict[int, tuple[int, int]] = {}

    @classmethod
    def restore(cls, ids: IntArray, digests: NDArray[np.uint64]) -> IdMap:
        """The map of (n,) ids and digests that were added in this order."""
        restored = cls()
        restored._merge(ids, np.arange(len(ids)), digests)
        return restored

    def __len__(self) -> int:
        return len(self._ids) + len(self._recent)

    def get(self, key: int) -> tuple[int, int] | None:
        """Index and digest of an id; None for a new one."""
        if (recent := self._recent.get(key)) is not None:
            return recent
        position = int(np.searchsorted(self._ids, key)) if len(self._ids) else 0
        if position < len(self._ids) and self._ids[position] == key:
            return int(self._index[position]), int(self._digests[position])
        return None

    def add(self, key: int, digest: int) -> int:
        """Add a new id; returns its index."""
        index = len(self)
        self._recent[key] = index, digest
        if len(self._recent) > max(_RECENT, len(self._ids) >> 5):
            self._merge_recent()
        return index

    def _merge_recent(self) -> None:
        index, digests = zip(*self._recent.values(), strict=True)
        ids = np.array(list(self._recent), np.int64)
        self._merge(ids, np.array(index, np.int64), np.array(digests, np.uint64))
        self._recent.clear()

    def _merge(self, ids: IntArray, index: IntArray, digests: NDArray[np.uint64]) -> None:
        all_ids = np.concatenate([self._ids, ids])
        order = np.argsort(all_ids, kind="stable")
        self._ids = all_ids[order]
        self._index = np.concatenate([self._index, index])[order]
        self._digests = np.concatenate([self._digests, digests])[order]
