"""Photos and fields of products, which a prepared folder or an index segment may have.

``photos.bin``: concatenated JPEG files in store order; ``photo_offsets.npy``: (P + 1,) byte
offsets; ``fields.parquet``: a row per product in store order.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import TYPE_CHECKING

from shopsight.errors import DataError
from shopsight.formats.append_npy import map_npy

if TYPE_CHECKING:
    import pyarrow as pa

PHOTOS, PHOTO_OFFSETS, FIELDS = "photos.bin", "photo_offsets.npy", "fields.parquet"
FIELDS_WRITTEN = "fields_written.parquet"
"""The columns of `FIELDS` that are not text, as the table wrote them; in prepared folders only."""


class ProductPhotos:
    """Memory-mapped photos of a folder's products.

    Raises:
        DataError: the folder has no photos, or they do not match their offsets.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / PHOTOS).is_file() or not (folder / PHOTO_OFFSETS).is_file():
            raise DataError(f"{folder}: has no photos")
        self._offsets = map_npy(folder / PHOTO_OFFSETS, "prepare it again")
        size = (folder / PHOTOS).stat().st_size
        if self._offsets.ndim != 1 or not len(self._offsets) or int(self._offsets[-1]) != size:
            raise DataError(f"{folder / PHOTOS}: {size:,} bytes do not match {PHOTO_OFFSETS}")
        # An empty file cannot be mapped.
        self._bytes: mmap.mmap | bytes = b""
        if size:
            with open(folder / PHOTOS, "rb") as file:
                self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    @classmethod
    def of(cls, folder: Path) -> ProductPhotos | None:
        """The photos of a folder; None if it has none."""
        return cls(folder) if (folder / PHOTOS).is_file() else None

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def jpeg(self, product: int) -> bytes | None:
        """The JPEG file of the product at a store index; None if it has no photo."""
        start, stop = int(self._offsets[product]), int(self._offsets[product + 1])
        return self._bytes[start:stop] or None


def read_fields(folder: Path, name: str = FIELDS) -> pa.Table | None:
    """The fields of a folder's products in store order; None if it has none."""
    import pyarrow.parquet as pq

    path = folder / name
    return pq.read_table(path) if path.is_file() else None
