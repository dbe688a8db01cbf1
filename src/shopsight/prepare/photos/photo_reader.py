"""Read table rows into products with small photos, decoded by a pool of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import xxhash

from shopsight.config import SmallPhotoConfig
from shopsight.errors import InputError
from shopsight.formats.images import PhotoError, SmallPhoto, small_photo
from shopsight.formats.processes import Pool
from shopsight.formats.tables import Table, TableRow
from shopsight.prepare.photos.columns import PhotoColumns, PhotoRow, read_row, row_error
from shopsight.prepare.photos.precomputed_regions import precomputed_regions
from shopsight.prepare.photos.writers import TABLE, PhotosState, ProductFiles, RegionFiles

STAMPS = 1 << 53
"""The number of different stamps; JSON holds each exactly."""
_BATCH = 16  # photos per task: the cost of a round trip is small beside decoding them

PhotoSource = bytes | Path | PhotoError | None
Decoded = SmallPhoto | PhotoError | None


@dataclass(frozen=True)
class _ParsedRow:
    """A row of the table: a product whose photo is to be decoded, or an error of some kind."""

    row: TableRow
    product: PhotoRow | None
    error: InputError | None = None
    stamp: int = 0  # of the photo's file


def decode_photos(config: SmallPhotoConfig, batch: list[PhotoSource]) -> list[Decoded]:
    """Small photos, or the errors of invalid ones; None for None. Runs in worker processes."""

    def decode(source: PhotoSource) -> Decoded:
        if source is None or isinstance(source, PhotoError):
            return source
        try:
            return small_photo(source, config)
        except PhotoError as error:
            return error

    return [decode(source) for source in batch]


def photo_stamps(table: Table, columns: PhotoColumns, start: int, stop: int) -> int:
    """A number that changes with the size and time of every photo file of the rows.

    It is a sum over rows, so that the numbers of shards add up to that of the table.
    """
    total = 0
    for row in table.rows(start, stop):
        with suppress(InputError):
            total += _stamp(row, read_row(row, table, columns).image)
    return total % STAMPS


def _stamp(row: TableRow, image: PhotoSource) -> int:
    """0 for a photo that is not a file of its own."""
    if not isinstance(image, Path):
        return 0
    size = time = -1
    with suppress(OSError, ValueError):
        status = image.stat()
        size, time = status.st_size, status.st_mtime_ns
    return xxhash.xxh3_64_intdigest(f"{row.number}:{size}:{time}".encode()) % STAMPS


class PhotoReader:
    """Reads rows from the position of the state on and stores the valid products.

    ``regions`` opens the files of precomputed regions when their width is known. With ``strict``,
    the first invalid row raises instead of being skipped.
    """

    def __init__(
        self,
        table: Table,
        columns: PhotoColumns,
        state: PhotosState,
        products: ProductFiles,
        regions: Callable[[int], RegionFiles],
        strict: bool,
    ) -> None:
        self._table, self._columns, self._state = table, columns, state
        self._products, self._regions, self._strict = products, regions, strict
        self._needs_photo = not columns.features or bool(columns.image)

    def read(self, stop: int, pool: Pool[list[PhotoSource], list[Decoded]]) -> Iterator[None]:
        """Store the products of the rows before ``stop``; yields after each batch.

        Raises:
            InputError: the first invalid row or photo, if strict.
        """
        rows = self._table.rows(self._state.row, stop)
        for batch, photos in pool.map(self._batches(rows)):
            for parsed, photo in zip(batch, photos, strict=True):
                self._store(parsed, photo)
                self._state.row = parsed.row.number
                self._state.stamps = (self._state.stamps + parsed.stamp) % STAMPS
            yield

    def _batches(
        self, rows: Iterator[TableRow]
    ) -> Iterator[tuple[list[_ParsedRow], list[PhotoSource]]]:
        while batch := [self._parse(row) for row in islice(rows, _BATCH)]:
            yield batch, [parsed.product.image if parsed.product else None for parsed in batch]

    def _parse(self, row: TableRow) -> _ParsedRow:
        try:
            product = read_row(row, self._table, self._columns)
            return _ParsedRow(row, product, stamp=_stamp(row, product.image))
        except InputError as error:
            return _ParsedRow(row, None, error)

    def _store(self, parsed: _ParsedRow, photo: Decoded) -> None:
        product = parsed.product
        if product is None:
            assert parsed.error is not None
            written = parsed.row.values.get(self._columns.id)
            kind = "row" if parsed.row.fault else "id"
            self._reject(parsed.row, "" if written is None else str(written), kind, parsed.error)
        elif product.product_id in self._products.ids:
            advice = "; --on-error skip keeps the first" if self._strict else ""
            self._reject_product(parsed.row, product, "repeated", f"duplicate product id{advice}")
        elif isinstance(photo, PhotoError):
            self._reject_product(parsed.row, product, photo.kind, photo.reason)
        elif photo is None and self._needs_photo:
            self._reject_product(parsed.row, product, "no-photo", "the row names no photo")
        elif product.regions is None:
            assert photo is not None
            self._products.append(product, photo, (photo.height, photo.width))
        else:
            self._store_precomputed(parsed.row, product, photo)

    def _store_precomputed(
        self, row: TableRow, product: PhotoRow, photo: SmallPhoto | None
    ) -> None:
        state = self._state
        try:
            regions, size = precomputed_regions(
                product, photo, state.feature_width, state.label_names
            )
        except ValueError as error:
            self._reject_product(row, product, "features", str(error))
            return
        state.feature_width = regions.features.shape[1]
        self._regions(state.feature_width).append([regions])
        self._products.append(product, photo, size)
        state.extracted = len(self._products)

    def _reject_product(self, row: TableRow, product: PhotoRow, kind: str, reason: str) -> None:
        columns = {"repeated": self._columns.id, "features": self._columns.features}
        column = columns.get(kind, self._columns.image)
        message = f"product '{product.product_id}': {reason}"
        error = row_error(message, row, self._table, column)
        self._reject(row, product.product_id, kind, error)

    def _reject(self, row: TableRow, product_id: str, kind: str, error: InputError) -> None:
        if self._strict:
            raise error
        # Paths relative to the table keep data.json independent of where the table was.
        self._state.skip(TABLE, kind, str(error).removeprefix(f"{self._table.folder}/"))
        self._products.skip(row.number, product_id, kind, error.reason)
