"""From the rows of a table to products with small photos, through a pool of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from shopsight.config import SmallPhotoConfig
from shopsight.errors import InputError
from shopsight.formats.images import PhotoError, SmallPhoto, small_photo
from shopsight.formats.processes import Pool
from shopsight.formats.tables import Table, TableRow
from shopsight.prepare.photos.columns import PhotoColumns, PhotoRow, read_row
from shopsight.prepare.photos.precomputed_regions import ReadyMade, precomputed
from shopsight.prepare.photos.state import PhotosState
from shopsight.prepare.photos.writers import ProductFiles, RegionFiles

_BATCH = 16  # photos that a process decodes before it answers

Source = bytes | Path | None
Decoded = SmallPhoto | PhotoError | None


@dataclass(frozen=True)
class _Read:
    """A row of the table: a product whose photo is to be decoded, or why it is refused."""

    row: TableRow
    product: PhotoRow | None
    kind: str = ""
    error: InputError | None = None


@dataclass(frozen=True)
class Decode:
    """What a process does with some photos.

    Args:
        config: how large they may be, and how small they are stored.
    """

    config: SmallPhotoConfig

    def __call__(self, batch: list[Source]) -> list[Decoded]:
        """Small photos, or why each is refused; None for None."""
        return [self._one(source) for source in batch]

    def _one(self, source: Source) -> Decoded:
        try:
            return None if source is None else small_photo(source, self.config)
        except PhotoError as error:
            return error


class PhotoReader:
    """Reads rows from where the state says, and stores what is good.

    Args:
        table: the table.
        columns: which column is what.
        state: how far it is; moves on.
        stop_at: row to stop before, from 0.
        strict: whether the first bad row ends the work.
    """

    def __init__(
        self, table: Table, columns: PhotoColumns, state: PhotosState, stop_at: int, strict: bool
    ) -> None:
        self._table, self._columns, self._state = table, columns, state
        self._stop_at, self._strict = stop_at, strict
        self._needs_photo = not columns.features or bool(columns.image)

    def read(
        self,
        pool: Pool[list[Source], list[Decoded]],
        products: ProductFiles,
        regions: Callable[[int], RegionFiles],
    ) -> Iterator[None]:
        """Store the products of the rows that are left; yields after each batch.

        Args:
            pool: decodes photos; made with `Decode`.
            products: where products go.
            regions: where ready-made regions of a width go.

        Raises:
            InputError: the first bad row or photo, where the reader is strict.
        """
        for batch, decoded in pool.map(self._batches()):
            for read, photo in zip(batch, decoded, strict=True):
                self._store(read, photo, products, regions)
                self._state.row = read.row.number
            yield

    def _batches(self) -> Iterator[tuple[list[_Read], list[Source]]]:
        rows = self._table.rows(self._state.row, self._stop_at)
        while batch := [self._read(row) for row in islice(rows, _BATCH)]:
            yield batch, [one.product.image if one.product else None for one in batch]

    def _read(self, row: TableRow) -> _Read:
        try:
            return _Read(row, read_row(row, self._table, self._columns))
        except InputError as error:
            kind = {self._columns.id: "id", self._columns.image: "no-photo"}
            name = "row" if row.fault else kind.get(str(error.column), "row")
            return _Read(row, None, name, error)

    def _store(
        self,
        read: _Read,
        photo: Decoded,
        products: ProductFiles,
        regions: Callable[[int], RegionFiles],
    ) -> None:
        product = read.product
        if product is None:
            assert read.error is not None
            self._refuse(read, read.kind, read.error, products)
        elif product.product_id in products.known:
            self._refuse(read, "repeated", "was met before", products)
        elif isinstance(photo, PhotoError):
            self._refuse(read, photo.kind, photo.reason, products)
        elif photo is None and self._needs_photo:
            self._refuse(read, "no-photo", "the row names no photo", products)
        elif product.regions is None:
            assert photo is not None
            products.append(product, photo, (photo.height, photo.width))
        else:
            self._store_ready_made(read, product, photo, products, regions)

    def _store_ready_made(
        self,
        read: _Read,
        product: PhotoRow,
        photo: SmallPhoto | None,
        products: ProductFiles,
        regions: Callable[[int], RegionFiles],
    ) -> None:
        try:
            found = precomputed(product, photo, self._state.feature_width, self._state.label_names)
        except ValueError as error:
            self._refuse(read, "features", str(error), products)
            return
        self._state.feature_width = found.features.shape[1]
        self._append(product, photo, found, products, regions(self._state.feature_width))

    def _append(
        self,
        product: PhotoRow,
        photo: SmallPhoto | None,
        found: ReadyMade,
        products: ProductFiles,
        regions: RegionFiles,
    ) -> None:
        regions.append([found])
        products.append(product, photo, found.size)
        self._state.described = len(products)

    def _refuse(
        self, read: _Read, kind: str, reason: str | InputError, products: ProductFiles
    ) -> None:
        product_id = read.product.product_id if read.product else ""
        error = reason if isinstance(reason, InputError) else self._error(read, kind, reason)
        if self._strict:
            raise error
        self._state.skip(kind, str(error).removeprefix(f"{self._table.folder}/"))
        products.skip(read.row.number, product_id, kind, error.reason)

    def _error(self, read: _Read, kind: str, reason: str) -> InputError:
        assert read.product is not None
        column = {"repeated": self._columns.id, "features": self._columns.features}
        place = {"line": read.row.line} if read.row.line is not None else {"row": read.row.number}
        return InputError(
            f"product '{read.product.product_id}': {reason}",
            path=self._table.path,
            column=column.get(kind, self._columns.image),
            **place,
        )
