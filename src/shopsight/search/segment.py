"""A part of an index, opened: memory-mapped codes, regions and records of its products.

Every tensor of a model's codes is a file ``word-match.heads.npy`` (P, ...), in the index's number
format; int8 has its factors beside it, ``word-match.heads.scale.npy`` (P, ..., 1).
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
from shopsight.data.photo_store import ProductPhotos, read_fields
from shopsight.data.region_store import RegionBatch, packed_ranges
from shopsight.errors import DataError
from shopsight.models.base import Encodings
from shopsight.models.dual import DualEncodings
from shopsight.models.label_match import LabelProducts
from shopsight.models.sentence_match import SentenceProducts
from shopsight.models.word_match import WordProducts
from shopsight.types import AnyArray, Box, IntArray

IDS, ID_ORDER = "product_ids.npy", "id_order.npy"
OFFSETS, BOXES, FEATURES = "offsets.npy", "boxes.npy", "features.npy"
RECALL = "recall.faiss"
DUAL, DUAL_PART = "dual", "vectors"
CODES: dict[str, type[Encodings]] = {
    "label-match": LabelProducts,
    "word-match": WordProducts,
    "sentence-match": SentenceProducts,
    DUAL: DualEncodings,
}
"""What each model makes of products."""


def code_file(model: str, tensor: str) -> str:
    """The file of one tensor of a model's codes."""
    return f"{model}.{tensor}.npy"


def scale_file(model: str, tensor: str) -> str:
    """The file of its factors, where it is int8."""
    return f"{model}.{tensor}.scale.npy"


class Segment:
    """The files of a part.

    Args:
        folder: the part's.
        models: whose codes it holds.
        rows: how many products it must hold.

    Raises:
        DataError: a file is missing or damaged, or the files do not fit each other.
    """

    def __init__(self, folder: Path, models: Sequence[str], rows: int) -> None:
        self.folder, self.rows = folder, rows
        self.ids: NDArray[np.bytes_] = np.asarray(self._mapped(IDS))
        self.id_order: IntArray = np.asarray(self._mapped(ID_ORDER))
        self._codes = {
            name: {tensor: self._pair(name, tensor) for tensor in CODES[name].__annotations__}
            for name in models
        }
        self.photos = ProductPhotos.of(folder)
        self.has_regions = (folder / OFFSETS).exists()
        if self.has_regions:
            self._offsets: IntArray = np.asarray(self._mapped(OFFSETS))
            self._boxes, self._features = self._mapped(BOXES), self._mapped(FEATURES)
        self._check()

    @property
    def vectors(self) -> AnyArray:
        """(P, D) the dual encoder's, as they are stored."""
        return self._codes[DUAL][DUAL_PART][0]

    @cached_property
    def fields(self) -> pa.Table | None:
        """A row for each product; None where nothing is known of them."""
        return read_fields(self.folder)

    def encodings(self, model: str, rows: IntArray) -> Encodings:
        """A model's codes of products (n,), in float32."""
        tensors = {
            name: torch.from_numpy(_restored(stored, scale, rows))
            for name, (stored, scale) in self._codes[model].items()
        }
        return CODES[model](**tensors)

    def row_of(self, product_id: str) -> int | None:
        """The row of a product, removed or not; None if it is not here."""
        wanted = product_id.encode("utf-8", "surrogatepass")
        at = int(np.searchsorted(self.ids, np.bytes_(wanted), sorter=self.id_order))
        if at == self.rows or not wanted:
            return None
        row = int(self.id_order[at])
        return row if bytes(self.ids[row]) == wanted else None

    def rows_of(self, wanted: NDArray[np.bytes_]) -> IntArray:
        """(n,) rows of ids (n,); -1 for those that are not here."""
        at = np.searchsorted(self.ids, wanted, sorter=self.id_order)
        rows: IntArray = self.id_order[np.minimum(at, self.rows - 1)]
        return np.where(self.ids[rows] == wanted, rows, -1)

    def boxes(self, row: int) -> tuple[Box, ...]:
        """The regions of a product as shares of the photo's sides; none if they are not kept."""
        if not self.has_regions:
            return ()
        return tuple(Box(*map(float, one[:4])) for one in self._boxes[self._span(row)])

    def regions(self, rows: IntArray) -> Regions:
        """What the encoders read of products (n,), which only a part with regions has."""
        starts = self._offsets[rows]
        lengths = self._offsets[rows + 1] - starts
        at = packed_ranges(starts, lengths)
        batch = RegionBatch(
            self._features[at], self._boxes[at].astype(np.float32), np.zeros(len(at), np.int16),
            lengths,
        )  # fmt: skip
        return as_regions(batch)

    def _span(self, row: int) -> slice:
        return slice(int(self._offsets[row]), int(self._offsets[row + 1]))

    def _pair(self, model: str, tensor: str) -> tuple[AnyArray, AnyArray | None]:
        stored = self._mapped(code_file(model, tensor))
        scale = self._mapped(scale_file(model, tensor)) if stored.dtype == np.int8 else None
        return stored, scale

    def _mapped(self, name: str) -> AnyArray:
        path = self.folder / name
        try:
            mapped: AnyArray = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError as error:
            raise DataError(f"{path}: missing; make the index again") from error
        except (ValueError, EOFError, OSError) as error:
            raise DataError(f"{path}: damaged; make the index again") from error
        return mapped

    def _check(self) -> None:
        stored = [one for pair in self._codes.values() for one, _ in pair.values()]
        if any(len(one) != self.rows for one in (self.ids, self.id_order, *stored)):
            raise DataError(f"{self.folder}: its files are not of {self.rows:,} products")
        if self.photos is not None and len(self.photos) != self.rows:
            raise DataError(f"{self.folder}: its photos are not of {self.rows:,} products")
        if self.has_regions and (
            len(self._offsets) != self.rows + 1
            or not int(self._offsets[-1]) == len(self._boxes) == len(self._features)
        ):
            raise DataError(f"{self.folder}: its regions do not fit its products")


def stored_as(numbers: NDArray[np.float32], precision: str) -> tuple[AnyArray, AnyArray | None]:
    """Numbers (P, ..., E) as an index stores them, and the factors (P, ..., 1) of int8.

    >>> stored_as(np.array([[127.0, -254.0]], np.float32), "int8")[0].tolist()
    [[64, -127]]
    """
    if precision != "int8":
        return numbers.astype(precision), None
    scale = np.abs(numbers).max(-1, keepdims=True) / 127
    safe = np.where(scale > 0, scale, 1)
    return np.rint(numbers / safe).astype(np.int8), scale.astype(np.float32)


def _restored(stored: AnyArray, scale: AnyArray | None, rows: IntArray) -> NDArray[np.float32]:
    numbers: NDArray[np.float32] = stored[rows].astype(np.float32)
    if scale is not None:
        numbers *= scale[rows]
    return numbers
