"""Which ids were met so far, and with what content: a compact map that grows to millions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopsight.types import IntArray

_RECENT = 1 << 16


class KnownIds:
    """Map of 64-bit ids to (index in order of arrival, 64-bit digest); 24 bytes an id.

    Recent ids are in a dictionary; the others in sorted arrays, merged now and then.

    >>> known = KnownIds()
    >>> known.add(7, 111)
    0
    >>> known.get(7), known.get(8)
    ((0, 111), None)
    """

    def __init__(self) -> None:
        self._ids: IntArray = np.empty(0, np.int64)
        self._index: IntArray = np.empty(0, np.int64)
        self._digests: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._recent: dict[int, tuple[int, int]] = {}

    @classmethod
    def restored(cls, ids: IntArray, digests: NDArray[np.uint64]) -> KnownIds:
        """The map of ids that were added in this order. Shapes (n,) and (n,)."""
        known = cls()
        known._merge(ids, np.arange(len(ids)), digests)
        return known

    def __len__(self) -> int:
        return len(self._ids) + len(self._recent)

    def get(self, key: int) -> tuple[int, int] | None:
        """Index and digest of an id; None if it was not met."""
        if (recent := self._recent.get(key)) is not None:
            return recent
        at = int(np.searchsorted(self._ids, key)) if len(self._ids) else 0
        if at < len(self._ids) and self._ids[at] == key:
            return int(self._index[at]), int(self._digests[at])
        return None

    def add(self, key: int, digest: int) -> int:
        """Add an id that is not known yet; returns its index."""
        index = len(self)
        self._recent[key] = index, digest
        if len(self._recent) > max(_RECENT, len(self._ids) >> 5):
            self._fold()
        return index

    def _fold(self) -> None:
        index, digests = zip(*self._recent.values(), strict=True)
        ids = np.array(list(self._recent), np.int64)
        self._merge(ids, np.array(index, np.int64), np.array(digests, np.uint64))
        self._recent.clear()

    def _merge(self, ids: IntArray, index: IntArray, digests: NDArray[np.uint64]) -> None:
        every = np.concatenate([self._ids, ids])
        order = np.argsort(every, kind="stable")
        self._ids = every[order]
        self._index = np.concatenate([self._index, index])[order]
        self._digests = np.concatenate([self._digests, digests])[order]
