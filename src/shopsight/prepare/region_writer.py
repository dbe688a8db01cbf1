"""Appending regions: features in shards of bounded size, boxes, labels and counts."""

from __future__ import annotations

import numpy as np

from shopsight.formats.append_npy import AppendableArray
from shopsight.prepare.journal import AppendableFiles
from shopsight.types import AnyArray, IntArray

MIB = 1 << 20


class RegionWriter:
    """Appends the regions of products, product after product.

    A product never straddles two shards: inside one it can be read as one slice of a memory map.
    """

    def __init__(self, files: AppendableFiles, width: int, dtype: str, shard_mib: int) -> None:
        self._files, self._width, self._dtype = files, width, np.dtype(dtype)
        self._boxes = files.array("data/boxes", np.float32, (4,))
        self._labels = files.array("data/labels", np.int16)
        self._counts = files.array("spool/region_counts", np.int32)
        self._limit = max((shard_mib * MIB) // (width * self._dtype.itemsize), 1)
        shards = [name for name in files.lengths() if name.startswith("data/features-")]
        self._number = max(len(shards) - 1, 0)
        self._shard = self._open_shard()

    def append(
        self, features: AnyArray, boxes: AnyArray, labels: AnyArray, counts: IntArray
    ) -> None:
        """Append R regions of m products: (R, F), (R, 4), (R,) and (m,) regions of each."""
        self._counts.append(counts)
        self._append_features(features, np.cumsum(counts))
        self._boxes.append(boxes)
        self._labels.append(labels)

    def _append_features(self, features: AnyArray, ends: IntArray) -> None:
        start = 0  # regions written so far
        while start < len(features):
            room = self._limit - self._shard.rows
            fitting = int(np.searchsorted(ends, start + room, side="right"))
            stop = int(ends[fitting - 1]) if fitting else 0
            if stop <= start and self._shard.rows:
                self._number += 1
                self._shard = self._open_shard()
                continue
            if stop <= start:  # one product larger than a shard gets a shard of its own
                stop = int(ends[np.searchsorted(ends, start, side="right")])
            self._shard.append(features[start:stop])
            start = stop

    def _open_shard(self) -> AppendableArray:
        return self._files.array(f"data/features-{self._number:05d}", self._dtype, (self._width,))
