"""Appending products and their regions to the files of a preparation of photos."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from shopsight.data.photo_store import PHOTOS
from shopsight.errors import DataError
from shopsight.formats import images
from shopsight.prepare.journal import AppendableFiles, PrepareState
from shopsight.prepare.photos.columns import PhotoRow
from shopsight.prepare.region_writer import RegionWriter
from shopsight.types import AnyArray, PhotoRegions

ROWS = "spool/rows.jsonl"
SKIPPED = "data/skipped.tsv"
SKIPPED_HEADER = b"row\tid\tkind\treason\n"
KINDS = {
    "row": "an unreadable row",
    "id": "a missing or invalid product id",
    "repeated": "a duplicate product id",
    "features": "invalid precomputed features or boxes",
    **images.KINDS,
}
"""Reasons for skipping a product, as counted in ``data.json``."""
TABLE = "table"
"""The group of skipped products in `PrepareState`; a table has no splits yet when it is read."""


@dataclass
class PhotosState(PrepareState):
    """Progress of a preparation of photos."""

    row: int = 0  # rows of the table read so far
    stamps: int = 0  # of the photo files read so far, see `photo_stamps`
    extracted: int = 0  # products whose regions are stored
    label_names: list[str] = field(default_factory=list)  # of the table, in the order of their ids


class ProductFiles:
    """Products without their regions: ids, small photos, texts and fields."""

    def __init__(self, files: AppendableFiles) -> None:
        self._rows = files.raw(ROWS)
        self._photos = files.raw(f"data/{PHOTOS}")
        self._photo_sizes = files.array("spool/photo_bytes", np.int64)
        self._sizes = files.array("data/image_sizes", np.int32, (2,))
        self.skipped = files.raw(SKIPPED)
        self.ids = {row["id"] for row in _json_lines(self._rows.read().tobytes())}

    def __len__(self) -> int:
        return self._sizes.rows

    def append(self, row: PhotoRow, photo: images.SmallPhoto | None, size: tuple[int, int]) -> None:
        """Append a product; ``size`` is the height and width of the canvas of its boxes."""
        line: dict[str, Any] = {"id": row.product_id, "text": row.text, "split": row.split}
        line |= {"queries": row.queries, "fields": row.fields, "place": row.place}
        content = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        jpeg = photo.jpeg if photo else b""
        self.append_stored(row.product_id, content, jpeg, np.array([size]))

    def append_stored(self, product_id: str, line: bytes, jpeg: bytes, size: AnyArray) -> None:
        """Append a product in its stored form; ``size`` has shape (1, 2)."""
        self.ids.add(product_id)
        self._rows.extend(line)
        self._photos.extend(jpeg)
        self._photo_sizes.append(np.array([len(jpeg)]))
        self._sizes.append(size)

    def skip(self, row: int, product_id: str, kind: str, reason: str) -> None:
        """Record a skipped product in ``skipped.tsv``."""
        if not self.skipped.rows:
            self.skipped.extend(SKIPPED_HEADER)
        cells = (" ".join(str(cell).split()) for cell in (row, product_id, kind, reason))
        self.skipped.extend("\t".join(cells).encode() + b"\n")


class RegionFiles:
    """Regions, product after product, checked before they are stored."""

    def __init__(self, files: AppendableFiles, width: int, dtype: str, shard_mib: int) -> None:
        self.writer = RegionWriter(files, width, dtype, shard_mib)
        self._dtype, self._width = np.dtype(dtype), width

    def append(self, products: Sequence[PhotoRegions]) -> None:
        """Append the regions of the next products. Raises DataError for invalid ones."""
        if not products:
            return
        for regions in products:
            self._check(regions)
        self.writer.append(
            np.concatenate([regions.features for regions in products]).astype(self._dtype),
            np.concatenate([regions.boxes for regions in products]),
            np.concatenate([regions.labels for regions in products]),
            np.array([len(regions.boxes) for regions in products], np.int64),
        )

    def _check(self, regions: PhotoRegions) -> None:
        count, shape = len(regions.boxes), regions.features.shape
        if not count or shape != (count, self._width) or len(regions.labels) != count:
            sizes = f"{count} boxes, features {shape}, {len(regions.labels)} labels"
            raise DataError(f"inconsistent regions ({sizes}, width {self._width})")
        # Written so that NaN fails too.
        largest = float(np.abs(regions.features).max(initial=0))
        if not largest <= float(np.finfo(self._dtype).max):
            advice = "use --dtype float32"
            raise DataError(f"a feature of {largest:g} does not fit {self._dtype}; {advice}")


class ProductRows:
    """The stored rows of P products, read back; all attributes are (P,)."""

    def __init__(self, partial: Path) -> None:
        rows = _json_lines((partial / ROWS).read_bytes())
        self.ids: list[str] = [row["id"] for row in rows]
        self.texts: list[str] = [row["text"] for row in rows]
        self.splits: list[str] = [row["split"] for row in rows]
        self.queries: list[list[str]] = [row["queries"] for row in rows]
        self.fields: list[dict[str, Any]] = [row["fields"] for row in rows]
        self.places: list[str] = [row["place"] for row in rows]

    def __len__(self) -> int:
        return len(self.ids)


def photo_offsets(partial: Path) -> AnyArray:
    """(P + 1,) start of each photo."""
    sizes = np.load(partial / "spool" / "photo_bytes.npy")
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


def _json_lines(content: bytes) -> list[Any]:
    # Not splitlines() of text: titles may contain other line separators such as U+2028.
    return [json.loads(line) for line in content.splitlines()]
