"""Write a segment batch by batch; a killed process resumes at its last checkpoint."""

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
from shopsight.search import segment
from shopsight.search.lexical import write_terms
from shopsight.search.retrievers.base import Vectors
from shopsight.search.retrievers.faiss import build_faiss_index
from shopsight.types import AnyArray

_STATE = "state.json"


class SegmentWriter:
    """Writes encodings and regions of `done` products batch by batch, then everything else.

    What an earlier process checkpointed in the folder is kept. The vectors of the model
    ``retrieval`` are those that the index searches.
    """

    def __init__(self, folder: Path, config: IndexConfig, retrieval: str) -> None:
        self.folder, self._config, self._retrieval = folder, config, retrieval
        self._files: dict[str, AppendableArray] = {}
        self._lengths: list[int] = []
        self.done = self._regions = 0
        path = folder / _STATE
        if path.exists():
            state = json.loads(path.read_bytes())
            self.done, self._lengths = state["products"], state["regions"]
            self._regions = sum(self._lengths)

    def append(self, encodings: Mapping[str, Encodings], regions: RegionBatch | None) -> None:
        """Write B products' encodings by model, and regions if the index stores them."""
        for model, encoded in encodings.items():
            for tensor, values in encoded.tensors().items():
                self._store(model, tensor, values.float().numpy())
        if regions is not None:
            boxes = regions.boxes.astype(np.float32)
            self._array(segment.BOXES, boxes, self._regions).append(boxes)
            self._array(segment.FEATURES, regions.features, self._regions).append(regions.features)
            self._lengths += regions.lengths.tolist()
            self._regions += len(regions.features)
        self.done += len(next(iter(encodings.values())))

    def checkpoint(self) -> None:
        """Sync everything written, so that a later process resumes here."""
        # Arrays first: the state must never count rows that are not on disk.
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
        """Write ids, fields, photos and the Faiss index, tuned on query vectors (Q, D).

        Returns the parameters of the Faiss index.
        """
        self.checkpoint()
        self.close()
        ids = np.array([product_id.encode() for product_id in product_ids], np.bytes_)
        np.save(self.folder / segment.IDS, ids)
        np.save(self.folder / segment.ID_ORDER, np.argsort(ids, kind="stable"))
        if self._lengths:
            offsets = np.cumsum([0, *self._lengths], dtype=np.int64)
            np.save(self.folder / segment.OFFSETS, offsets)
        if fields is not None:
            pq.write_table(fields, self.folder / FIELDS)
            write_terms(self.folder, fields, self._config.text_fields)
        if photos is not None:
            _write_photos(self.folder, photos)
        vectors = segment.EncodingArray(self.folder, self._retrieval, segment.VECTORS)
        path = self.folder / segment.FAISS
        params = build_faiss_index(len(ids), vectors.read, path, self._config, queries)
        (self.folder / _STATE).unlink()
        return params

    def _store(self, model: str, tensor: str, values: Any) -> None:
        stored, scale = segment.quantise(values, self._config.precision)
        if not np.isfinite(stored).all():
            raise OutputError(
                f"{self.folder.parent}: encodings of {model} overflow {self._config.precision};"
                " build the index with --precision float32"
            )
        self._array(segment.encoding_file(model, tensor), stored, self.done).append(stored)
        if scale is not None:
            self._array(segment.scale_file(model, tensor), scale, self.done).append(scale)

    def _array(self, name: str, block: AnyArray, rows: int) -> AppendableArray:
        if name not in self._files:
            shape = tuple(block.shape[1:])
            self._files[name] = AppendableArray(self.folder / name, block.dtype, shape, rows)
        return self._files[name]


def _write_photos(folder: Path, photos: Iterable[bytes | None]) -> None:
    offsets = [0]
    with atomic_write(folder / PHOTOS, "wb") as file:
        for photo in photos:
            file.write(photo or b"")
            offsets.append(offsets[-1] + len(photo or b""))
    np.save(folder / PHOTO_OFFSETS, np.array(offsets, np.int64))
