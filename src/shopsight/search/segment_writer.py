"""Writing a part of an index, batch by batch; what a killed process left is gone on with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shopsight.config import IndexConfig
from shopsight.data.photo_store import FIELDS, PHOTO_OFFSETS, PHOTOS
from shopsight.data.region_store import RegionBatch
from shopsight.errors import OutputError
from shopsight.formats.append_npy import AppendableArray
from shopsight.formats.atomic import atomic_write, write_json
from shopsight.models.base import Encodings
from shopsight.search.retrievers.faiss import Vectors, build_faiss_index
from shopsight.search.segment import (
    BOXES,
    DUAL,
    DUAL_PART,
    FEATURES,
    ID_ORDER,
    IDS,
    OFFSETS,
    RECALL,
    code_file,
    scale_file,
    stored_as,
)
from shopsight.types import AnyArray, IntArray

_STATE = "state.json"


class SegmentWriter:
    """Writes codes and regions as they come, then everything else.

    Args:
        folder: where the part grows; what an earlier process left there is continued.
        config: of the index.

    Attributes:
        done: products that are written.
    """

    def __init__(self, folder: Path, config: IndexConfig) -> None:
        self.folder, self._config = folder, config
        self._files: dict[str, AppendableArray] = {}
        self._lengths: list[int] = []
        self.done = self._regions = 0
        path = folder / _STATE
        if path.exists():
            state = json.loads(path.read_bytes())
            self.done, self._lengths = state["products"], state["regions"]
            self._regions = sum(self._lengths)

    def append(self, codes: Mapping[str, Encodings], regions: RegionBatch | None) -> None:
        """Write products.

        Args:
            codes: of B products, by model.
            regions: theirs, where the index keeps them.

        Raises:
            OutputError: the disk is full; codes that do not fit the number format.
        """
        for model, one in codes.items():
            for tensor, numbers in one.tensors().items():
                self._store(model, tensor, numbers.float().numpy())
        if regions is not None:
            boxes = regions.boxes.astype(np.float32)
            self._array(BOXES, boxes, self._regions).append(boxes)
            self._array(FEATURES, regions.features, self._regions).append(regions.features)
            self._lengths += regions.lengths.tolist()
            self._regions += len(regions.features)
        self.done += len(next(iter(codes.values())))

    def checkpoint(self) -> None:
        """Put what is written on disk, so that a later process goes on from here."""
        for file in self._files.values():
            file.sync()
        write_json(self.folder / _STATE, {"products": self.done, "regions": self._lengths}, None)

    def close(self) -> None:
        """Close all files as they are."""
        for file in self._files.values():
            file.close()
        self._files = {}

    def finish(
        self,
        product_ids: Sequence[str],
        fields: pa.Table | None,
        photos: Iterable[bytes | None] | None,
        queries: Vectors | None,
    ) -> dict[str, Any]:
        """Write what belongs to the products, and the recall index.

        Args:
            product_ids: of the P products, in the order they were appended.
            fields: a row for each.
            photos: a JPEG file for each, or None.
            queries: (Q, D) vectors of real queries.

        Returns:
            How the part is recalled.
        """
        self.checkpoint()
        self.close()
        ids = np.array([one.encode() for one in product_ids], np.bytes_)
        np.save(self.folder / IDS, ids)
        np.save(self.folder / ID_ORDER, np.argsort(ids, kind="stable"))
        if self._lengths:
            np.save(self.folder / OFFSETS, np.cumsum([0, *self._lengths], dtype=np.int64))
        if fields is not None:
            pq.write_table(fields, self.folder / FIELDS)
        if photos is not None:
            _write_photos(self.folder, photos)
        about = self._write_recall(len(ids), queries)
        (self.folder / _STATE).unlink()
        return about

    def _write_recall(self, rows: int, queries: Vectors | None) -> dict[str, Any]:
        stored = np.load(self.folder / code_file(DUAL, DUAL_PART), mmap_mode="r")
        scale: AnyArray | None = None
        if stored.dtype == np.int8:
            scale = np.load(self.folder / scale_file(DUAL, DUAL_PART), mmap_mode="r")

        def read(at: IntArray) -> Vectors:
            numbers: Vectors = stored[at].astype(np.float32)
            return numbers if scale is None else numbers * scale[at]

        return build_faiss_index(rows, read, self.folder / RECALL, self._config, queries)

    def _store(self, model: str, tensor: str, numbers: Any) -> None:
        stored, scale = stored_as(numbers, self._config.precision)
        if not np.isfinite(stored).all():
            raise OutputError(
                f"{self.folder.parent}: the codes of {model} do not fit {self._config.precision};"
                " make the index with --precision float32"
            )
        self._array(code_file(model, tensor), stored, self.done).append(stored)
        if scale is not None:
            self._array(scale_file(model, tensor), scale, self.done).append(scale)

    def _array(self, name: str, block: AnyArray, rows: int) -> AppendableArray:
        if name not in self._files:
            shape = tuple(block.shape[1:])
            self._files[name] = AppendableArray(self.folder / name, block.dtype, shape, rows)
        return self._files[name]


def _write_photos(folder: Path, photos: Iterable[bytes | None]) -> None:
    ends = [0]
    with atomic_write(folder / PHOTOS, "wb") as file:
        for one in photos:
            file.write(one or b"")
            ends.append(ends[-1] + len(one or b""))
    np.save(folder / PHOTO_OFFSETS, np.array(ends, np.int64))
