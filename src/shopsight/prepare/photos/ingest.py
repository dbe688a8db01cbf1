"""Turn a table of products with photos into a prepared folder: streaming and resumable.

First every row is read and its photo stored as a small JPEG. Then, with ``--learn``, networks are
trained on the photos of the training products. Then the regions of the stored photos are extracted.
The tables come last. Each step resumes where it was interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from shopsight.data.dataset import PREPARED, PreparedData
from shopsight.errors import InputError, UsageError
from shopsight.formats.atomic import atomic_folder
from shopsight.formats.cells import whole_id
from shopsight.formats.click_logs import ClickPairs
from shopsight.formats.dataset_tables import open_table
from shopsight.formats.fields import unlike_ids
from shopsight.formats.processes import process_pool
from shopsight.formats.tables import Table
from shopsight.prepare.journal import EXTRACTOR, SPOOL, Journal, open_journal
from shopsight.prepare.output_dir import is_prepared, publish
from shopsight.prepare.photos.columns import PhotoColumns, find_columns, row_id
from shopsight.prepare.photos.extract_regions import (
    RegionSource,
    StoredPhotos,
    extract_all,
)
from shopsight.prepare.photos.finish import finish
from shopsight.prepare.photos.given_pools import QueryInputs
from shopsight.prepare.photos.photo_reader import PhotoReader, decode_photos, photo_stamps
from shopsight.prepare.photos.queries_and_splits import (
    QueriesAndSplits,
    read_queries_and_splits,
)
from shopsight.prepare.photos.settings import PhotosSettings
from shopsight.prepare.photos.writers import PhotosState, ProductFiles, RegionFiles
from shopsight.prepare.tables import vocabulary_maker
from shopsight.types import Extractor, Progress, no_progress


def prepare_photos(
    table: str | Path,
    out: Path | str,
    region_source: RegionSource,
    settings: PhotosSettings | None = None,
    *,
    queries: QueryInputs | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> PreparedData:
    """Turn a table of products with photos into a prepared folder; see `shopsight.api.data`.

    The same call resumes an interrupted one, with the same result. It also resumes one that an
    invalid photo stopped, once the photo is repaired or ``on_error`` is "skip".

    Raises:
        InputError: an unreadable or invalid table, row or photo.
        UsageError: a column that does not exist.
        OutputError: ``out`` exists and is something else, or cannot be written.
    """
    inputs = PhotoInputs(str(table), settings or PhotosSettings(), region_source, queries)
    out = Path(out)
    rows = len(inputs.table)

    def changed(manifest: dict[str, Any]) -> str:
        return inputs.changed_photos(0, rows, manifest["photos"].get("stamps", 0))

    if is_prepared(out, inputs.path, inputs.fingerprint, force=force, changed=changed):
        return PreparedData.open(out)
    with open_ingest(out, inputs, inputs.fingerprint, progress) as ingest:
        ingest.read(0, rows)
        products, splits = read_queries_and_splits(ingest.partial, inputs.settings, inputs.queries)
        ingest.extract(splits)
        progress("finishing", 0, 0)
        finish(ingest.partial, ingest.state, products, splits, ingest.info(), inputs.vocabulary)
        publish(out)
    return PreparedData.open(out)


class PhotoInputs:
    """The inputs of a preparation, opened and checked before any photo is read."""

    def __init__(
        self,
        table: str,
        settings: PhotosSettings,
        region_source: RegionSource,
        queries: QueryInputs | None = None,
    ) -> None:
        self.settings, self.region_source = settings, region_source
        self.path = Path(table)
        self.table: Table = open_table(table)
        self.columns: PhotoColumns = find_columns(
            self.table, settings.columns, precomputed=region_source.precomputed
        )
        if not len(self.table):
            raise InputError("no row in the table", path=table)
        self.vocabulary = vocabulary_maker(settings.photos)
        self.queries = queries or QueryInputs()
        if self.queries.pools and not settings.columns.split_column:
            raise UsageError("--pools needs --split-column, which tells the training products")
        if self.queries.clicks:
            ids = (row_id(row, self.columns) for row in self.table.rows())
            check_log(self.queries.clicks, ids)
        self.table_fingerprint = (
            f"format={PREPARED.version}; table:{self.table.fingerprint()}; "
            f"{json.dumps(settings.as_dict())}; {json.dumps(region_source.settings)}"
        )
        self.fingerprint = f"{self.table_fingerprint}; {self.queries.fingerprint}"

    def changed_photos(self, start: int, stop: int, stamps: int) -> str:
        """A reason if a photo file of the rows has another size or time than before."""
        # Without stamps, all photos are in the table itself.
        if not stamps or photo_stamps(self.table, self.columns, start, stop) == stamps:
            return ""
        return "photos have changed since it was made"


def check_log(log: ClickPairs, product_ids: Iterable[str | None]) -> None:
    """Raise InputError unless a log and products have an id in common; None is an invalid id."""
    clicked = {whole_id(click.product_id) for click in log.clicks}
    seen: list[str] = []
    for product_id in product_ids:
        if product_id and whole_id(product_id) in clicked:
            return
        seen += [product_id] if product_id else []
    own, other, alike = unlike_ids(seen, [click.product_id for click in log.clicks])
    reason = "none of its products is in the table"
    raise InputError(f"{reason} (it has {other!r}, the table {own!r}{alike})", path=log.path)


class PhotoIngest:
    """The resumable steps of a preparation in the folder ``partial``; use `open_ingest`."""

    def __init__(
        self,
        journal: Journal[PhotosState],
        inputs: PhotoInputs,
        extractor: Extractor | None,
        progress: Progress,
    ) -> None:
        self.partial, self.state = journal.folder, journal.state
        self.products = ProductFiles(journal.files)
        self._journal, self._inputs, self._progress = journal, inputs, progress
        self._config = inputs.settings.photos
        self._extractor = extractor
        self._regions: RegionFiles | None = None

    def read(self, start: int, stop: int) -> None:
        """Store the products of the rows from ``start`` to before ``stop`` not stored yet."""
        state, inputs = self.state, self._inputs
        state.row = max(state.row, start)
        strict = self._config.on_error == "stop"
        reader = PhotoReader(
            inputs.table, inputs.columns, state, self.products, self._region_files, strict
        )
        if state.row < stop:
            self._progress("reading", state.row - start, stop - start)
            decode = partial(decode_photos, inputs.settings.small)
            with process_pool(decode, self._config.workers) as pool:
                for _ in reader.read(stop, pool):
                    self._journal.checkpoint()
                    self._progress("reading", state.row - start, stop - start)
        if not len(self.products):
            raise state.no_valid_row(inputs.path)
        self._journal.save()

    def extract(self, queries: QueriesAndSplits | None) -> None:
        """Store the regions of the products whose regions are not stored yet.

        Only an extractor that has to be trained needs ``queries``.
        """
        if not self._inputs.region_source.precomputed:
            extractor = self._saved_extractor(queries)
            photos, state = StoredPhotos(self.partial), self.state
            state.feature_width = extractor.width
            regions = self._region_files(extractor.width)
            self._progress("extracting", state.extracted, len(photos))
            for batch in extract_all(extractor, photos, state.extracted, self._config.workers):
                regions.append(batch)
                state.extracted += len(batch)
                self._journal.checkpoint()
                self._progress("extracting", state.extracted, len(photos))
        self._journal.save()

    def info(self) -> dict[str, Any]:
        """Settings and names, see `finish`."""
        inputs = self._inputs
        labels = self._extractor.label_names if self._extractor else self.state.label_names
        return {
            "settings": inputs.settings.as_dict(),
            "extractor": {**inputs.region_source.settings, "label_names": list(labels)},
            "roles": inputs.columns.roles(),
            "field_names": inputs.columns.fields(inputs.table.names),
        }

    def _region_files(self, width: int) -> RegionFiles:
        if self._regions is None:
            config = self._config
            self._regions = RegionFiles(self._journal.files, width, config.dtype, config.shard_mib)
        return self._regions

    def _saved_extractor(self, queries: QueriesAndSplits | None) -> Extractor:
        """The extractor as saved; made or trained first if there is none yet.

        Even a new extractor is reloaded, so that resumed and uninterrupted runs use the same
        (perhaps rounded) weights.
        """
        folder, source = self.partial / EXTRACTOR, self._inputs.region_source
        assert source.load is not None
        if not folder.is_dir():
            extractor = self._extractor or self._learn(queries)
            with atomic_folder(folder) as temporary:
                extractor.save(temporary)
        self._extractor = source.load(folder)
        return self._extractor

    def _learn(self, queries: QueriesAndSplits | None) -> Extractor:
        learn = self._inputs.region_source.learn
        assert learn is not None
        assert queries is not None
        products, words = queries.training_words()
        self._progress("learning", 0, 0)
        return learn(
            StoredPhotos(self.partial, products),
            words,
            seed=self._inputs.settings.seed,
            progress=self._progress,
            folder=self.partial / SPOOL,
        )


@contextmanager
def open_ingest(
    out: Path, inputs: PhotoInputs, fingerprint: str, progress: Progress, start: int = 0
) -> Iterator[PhotoIngest]:
    """The steps of a preparation from a row on in ``OUT.partial``, locked by this process."""
    make = inputs.region_source.make
    # Made before the folder is opened: if that fails, an earlier run's work is not lost.
    extractor: Any = make() if make else None

    def is_current(state: PhotosState) -> bool:
        return not inputs.changed_photos(start, state.row, state.stamps)

    with open_journal(out, PhotosState, fingerprint, is_current=is_current) as journal:
        yield PhotoIngest(journal, inputs, extractor, progress)
