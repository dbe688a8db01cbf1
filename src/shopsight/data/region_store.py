"""The region store: packed regions of all products, memory-mapped, read by product index.

``features-00000.npy`` ... (R, F), ``offsets.npy`` (P + 1,), ``boxes.npy`` (R, 4) in pixels,
``labels.npy`` (R,), ``image_sizes.npy`` (P, 2) and ``product_ids.npy`` (P,) bytes. The regions
of product ``i`` are ``offsets[i]:offsets[i + 1]`` of the concatenated shards; no product straddles
two shards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopsight.data.id_index import IdIndex
from shopsight.errors import DataError
from shopsight.formats.append_npy import map_npy
from shopsight.types import AnyArray, IntArray

REMEDY = "prepare the folder again"


@dataclass(frozen=True)
class RegionBatch:
    """The R regions of B products, packed, in the order of the request."""

    features: AnyArray  # (R, F) in the store's dtype
    boxes: NDArray[np.float32]  # (R, 5) in [0, 1]: top, left, bottom, right, area
    labels: NDArray[np.int16]
    lengths: IntArray  # (B,) number of regions of each product


class RegionStore:
    """Regions of a prepared folder.

    Raises:
        DataError: a file is missing, or the files do not match.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.offsets: IntArray = map_npy(folder / "offsets.npy", REMEDY)
        self.pixel_boxes: NDArray[np.float32] = map_npy(folder / "boxes.npy", REMEDY)
        self.labels: NDArray[np.int16] = map_npy(folder / "labels.npy", REMEDY)
        self.image_sizes: NDArray[np.int32] = map_npy(folder / "image_sizes.npy", REMEDY)
        self._ids: NDArray[np.bytes_] = map_npy(folder / "product_ids.npy", REMEDY)
        paths = sorted(folder.glob("features-*.npy"))
        self._shards = [map_npy(path, REMEDY) for path in paths]
        self._starts = np.cumsum([0, *(len(shard) for shard in self._shards)])
        self._check()

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def width(self) -> int:
        """Feature dimension F."""
        return int(self._shards[0].shape[1])

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Dtype of the features."""
        return self._shards[0].dtype

    @cached_property
    def product_ids(self) -> list[str]:
        """The P product ids, in store order."""
        return [product_id.decode() for product_id in self._ids.tolist()]

    def positions(self, product_ids: Sequence[str]) -> IntArray:
        """Indices (B,) of product ids; -1 for an unknown id."""
        return self._id_index.positions(product_ids)

    def index_of(self, product_ids: Sequence[str]) -> IntArray:
        """Store indices (B,) of product ids. Raises DataError for an unknown id."""
        positions = self._id_index.positions(product_ids)
        missing = np.flatnonzero(positions < 0)
        if len(missing):
            raise DataError(f"{self.folder}: no product '{product_ids[missing[0]]}'")
        return positions

    def read(self, indices: Sequence[int] | IntArray) -> RegionBatch:
        """Copy the regions of products (B,). Raises IndexError outside 0 to P - 1."""
        products = np.asarray(indices, np.int64)
        if len(products) and not 0 <= int(products.min()) <= int(products.max()) < len(self):
            raise IndexError(f"product index outside 0 to {len(self) - 1}")
        starts = self.offsets[products]
        lengths = self.offsets[products + 1] - starts
        regions = packed_ranges(starts, lengths)
        # Pixels are stored, so that boxes can be drawn; models see fractions of the photo.
        sizes = np.repeat(self.image_sizes[products], lengths, axis=0)
        boxes = normalised_boxes(self.pixel_boxes[regions], sizes)
        return RegionBatch(self.features(regions), boxes, self.labels[regions], lengths)

    def features(self, regions: IntArray) -> AnyArray:
        """The features (n, F) of regions, by row (n,) of the concatenated shards."""
        # The usual case, without the copy through an output array.
        if len(self._shards) == 1:
            features: AnyArray = self._shards[0].take(regions, axis=0)
            return features
        features = np.empty((len(regions), self.width), self.dtype)
        shard_of = np.searchsorted(self._starts, regions, side="right") - 1
        for shard in np.unique(shard_of):
            rows = shard_of == shard
            features[rows] = self._shards[shard].take(regions[rows] - self._starts[shard], axis=0)
        return features

    @cached_property
    def _id_index(self) -> IdIndex:
        return IdIndex(self._ids)

    def _check(self) -> None:
        regions = int(self.offsets[-1]) if len(self.offsets) else -1
        lengths = {len(self.pixel_boxes), len(self.labels), int(self._starts[-1])}
        if not self._shards or lengths != {regions}:
            raise DataError(f"{self.folder}: the region store's files do not match")
        if len(self._ids) != len(self) or len(self.image_sizes) != len(self):
            raise DataError(f"{self.folder}: the store's product ids do not match its offsets")


def packed_ranges(starts: IntArray, lengths: IntArray) -> IntArray:
    """Concatenate the ranges ``starts[i]:starts[i] + lengths[i]``.

    >>> packed_ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    ends = np.cumsum(lengths)
    shift = np.repeat(starts - ends + lengths, lengths)
    packed: IntArray = np.arange(ends[-1] if len(ends) else 0) + shift
    return packed


def normalised_boxes(boxes: NDArray[np.float32], sizes: NDArray[np.int32]) -> NDArray[np.float32]:
    """Box input of the models: top/h, left/w, bottom/h, right/w and the normalised area.

    Args:
        boxes: (R, 4) pixels, (top, left, bottom, right).
        sizes: (R, 2) height and width of the photo of each region.

    Returns:
        (R, 5) float32 in [0, 1] (docs/method.md, section 1).

    >>> box, size = np.array([[0, 10, 50, 20]], np.float32), np.array([[100, 40]], np.int32)
    >>> normalised_boxes(box, size).tolist()
    [[0.0, 0.25, 0.5, 0.5, 0.125]]
    """
    scaled = np.empty((len(boxes), 5), np.float32)
    np.divide(boxes, sizes[:, [0, 1, 0, 1]], out=scaled[:, :4], casting="same_kind")
    scaled[:, 4] = (scaled[:, 2] - scaled[:, 0]) * (scaled[:, 3] - scaled[:, 1])
    return scaled
