"""An opened segment: memory-mapped encodings, regions, fields and photos of its products.

Every tensor of a model's encodings is a file ``word-match.heads.npy`` (P, ...) in the index's
number format; int8 has its scales beside it, ``word-match.heads.scale.npy`` (P, ..., 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from shopsight.batches.batch import Regions, as_regions
from shopsight.data.id_index import IdIndex
from shopsight.data.photo_store import ProductPhotos, read_fields
from shopsight.data.region_store import RegionBatch, packed_ranges
from shopsight.errors import DataError
from shopsight.formats.append_npy import map_npy
from shopsight.models.base import Encodings
from shopsight.models.registry import model_spec, retrieval_model
from shopsight.search.lexical import TermIndex
from shopsight.search.manifest import INDEX, SegmentInfo
from shopsight.search.retrievers.faiss import FaissIndex
from shopsight.types import AnyArray, Box, IntArray

IDS, ID_ORDER = "product_ids.npy", "id_order.npy"
OFFSETS, BOXES, FEATURES = "offsets.npy", "boxes.npy", "features.npy"
FAISS = "vectors.faiss"
VECTORS = "vectors"
"""Name of the tensor of a dual encoder's encodings."""


def encoding_file(model: str, tensor: str) -> str:
    """File of one tensor of a model's encodings."""
    return f"{model}.{tensor}.npy"


def scale_file(model: str, tensor: str) -> str:
    """File of the tensor's int8 scales."""
    return f"{model}.{tensor}.scale.npy"


class Segment:
    """The files of a segment; rows are its own, from 0, and include removed products."""

    def __init__(self, folder: Path, models: Sequence[str], info: SegmentInfo) -> None:
        self.folder, self.rows, self._params = folder, info.rows, info.faiss
        self.ids: NDArray[np.bytes_] = map_npy(folder / IDS, INDEX.remedy)
        order: IntArray = map_npy(folder / ID_ORDER, INDEX.remedy)
        self.id_index = IdIndex(self.ids, order)
        self._encodings = {
            name: {
                tensor: EncodingArray(folder, name, tensor)
                for tensor in model_spec(name).encodings_class.__annotations__
            }
            for name in models
        }
        self.photos = ProductPhotos.of(folder)
        self.has_regions = (folder / OFFSETS).exists()
        if self.has_regions:
            self._offsets: IntArray = map_npy(folder / OFFSETS, INDEX.remedy)
            self._boxes = map_npy(folder / BOXES, INDEX.remedy)
            self._features = map_npy(folder / FEATURES, INDEX.remedy)
        self._check(len(order))

    @cached_property
    def fields(self) -> pa.Table | None:
        """P rows; None if the segment has no fields."""
        return read_fields(self.folder)

    @cached_property
    def faiss(self) -> FaissIndex:
        """The index of the vectors of the model that retrieves."""
        vectors = self._encodings[str(retrieval_model(self._encodings))][VECTORS]
        return FaissIndex.open(self.folder / FAISS, self._params, self.rows, vectors.read)

    @cached_property
    def terms(self) -> TermIndex | None:
        """The inverted index of the text fields; None without such fields."""
        return TermIndex.open(self.folder)

    def open_all(self) -> None:
        """Open the files that are otherwise opened when first needed."""
        _ = self.fields, self.faiss, self.terms

    def encodings(self, model: str, rows: IntArray) -> Encodings:
        """A model's encodings of products (n,), in float32."""
        arrays = self._encodings[model].items()
        tensors = {name: torch.from_numpy(array.read(rows)) for name, array in arrays}
        encodings: Encodings = model_spec(model).encodings_class(**tensors)
        return encodings

    def boxes(self, row: int) -> tuple[Box, ...]:
        """A product's regions as fractions of the photo's sides; empty without regions."""
        if not self.has_regions:
            return ()
        boxes = self._boxes[int(self._offsets[row]) : int(self._offsets[row + 1])]
        return tuple(Box(*map(float, box[:4])) for box in boxes)

    def regions(self, rows: IntArray) -> Regions:
        """Encoder inputs of products (n,); requires `has_regions`."""
        starts = self._offsets[rows]
        lengths = self._offsets[rows + 1] - starts
        ranges = packed_ranges(starts, lengths)
        # The encoders do not read class labels.
        labels = np.zeros(len(ranges), np.int16)
        boxes = self._boxes[ranges].astype(np.float32)
        return as_regions(RegionBatch(self._features[ranges], boxes, labels, lengths))

    def _check(self, ordered: int) -> None:
        arrays = [array for arrays in self._encodings.values() for array in arrays.values()]
        lengths = {ordered, len(self.ids), *map(len, arrays)}
        if lengths != {self.rows}:
            raise DataError(f"{self.folder}: its files do not hold {self.rows:,} products")
        if self.photos is not None and len(self.photos) != self.rows:
            raise DataError(f"{self.folder}: its photos are not of {self.rows:,} products")
        if self.has_regions and (
            len(self._offsets) != self.rows + 1
            or not int(self._offsets[-1]) == len(self._boxes) == len(self._features)
        ):
            raise DataError(f"{self.folder}: its regions do not fit its products")


class EncodingArray:
    """A tensor (P, ...) of a model's encodings on disk."""

    def __init__(self, folder: Path, model: str, tensor: str) -> None:
        self._stored = map_npy(folder / encoding_file(model, tensor), INDEX.remedy)
        self._scale: AnyArray | None = None
        if self._stored.dtype == np.int8:
            self._scale = map_npy(folder / scale_file(model, tensor), INDEX.remedy)

    def __len__(self) -> int:
        return len(self._stored)

    def read(self, rows: IntArray) -> NDArray[np.float32]:
        """(n, ...) rows (n,) in float32."""
        values: NDArray[np.float32] = self._stored[rows].astype(np.float32)
        if self._scale is not None:
            values *= self._scale[rows]
        return values


def quantise(values: NDArray[np.float32], precision: str) -> tuple[AnyArray, AnyArray | None]:
    """Values (P, ..., E) in the index's number format, and the scales (P, ..., 1) of int8.

    >>> quantise(np.array([[127.0, -254.0]], np.float32), "int8")[0].tolist()
    [[64, -127]]
    """
    if precision != "int8":
        return values.astype(precision), None
    scale = np.abs(values).max(-1, keepdims=True) / 127
    safe = np.where(scale > 0, scale, 1)
    return np.rint(values / safe).astype(np.int8), scale.astype(np.float32)
