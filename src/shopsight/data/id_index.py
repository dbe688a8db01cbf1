"""Product id to row lookup in memory-mapped arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shopsight.types import IntArray


class IdIndex:
    """Positions of ids in a fixed array, by binary search.

    A sort order of 8 bytes an id replaces a dictionary, which takes 100 and has to be built in
    every process.

    Args:
        ids: (P,) distinct ids as UTF-8 bytes.
        order: (P,) argsort of ``ids``, where it is stored; else it is computed.

    >>> IdIndex(np.array([b"b", b"a"])).positions(["a", "b", "c"]).tolist()
    [1, 0, -1]
    """

    def __init__(self, ids: NDArray[np.bytes_], order: IntArray | None = None) -> None:
        self._ids = ids
        self._order = np.argsort(ids, kind="stable") if order is None else order

    def positions(self, product_ids: Sequence[str]) -> IntArray:
        """Positions (B,) of ids; -1 for an unknown id."""
        if not len(self._ids) or not len(product_ids):
            return np.full(len(product_ids), -1, np.int64)
        sought = np.array([self._encode(product_id) for product_id in product_ids], np.bytes_)
        slots = np.searchsorted(self._ids, sought, sorter=self._order)
        positions = self._order[np.minimum(slots, len(self._ids) - 1)].astype(np.int64)
        return np.where(self._ids[positions] == sought, positions, -1)

    def _encode(self, product_id: str) -> bytes:
        """The id as bytes; empty, which no stored id is, if it cannot be in the array."""
        encoded = product_id.encode("utf-8", "surrogatepass")
        # numpy drops trailing null characters, so "a\0" would be found as "a"; and one long id
        # would widen every stored id for the comparison.
        impossible = encoded.endswith(b"\0") or len(encoded) > self._ids.dtype.itemsize
        return b"" if impossible else encoded
