"""Turn a table of products with photos into a prepared folder: streaming and resumable.

First every row is read and its photo stored as a small JPEG. Then, with ``--learn``, a network is
trained on the photos of the training products. Then the regions of the stored photos are extracted.
The tables come last. Each step resumes where it was interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from shopsight.data.dataset import PREPARED, PreparedData
from shopsight.data.photo_store import PHOTOS
from shopsight.errors import InputError
from shopsight.formats.atomic import atomic_folder
from shopsight.formats.checksums import file_fingerprint
from shopsight.formats.click_logs import Click, read_clicks
from shopsight.formats.dataset_tables import open_table
from shopsight.formats.processes import process_pool
from shopsight.formats.tables import Table
from shopsight.prepare.journal import EXTRACTOR, Journal, open_journal
from shopsight.prepare.output_dir import check_output_dir, existing_manifest, has_content, publish
from shopsight.prepare.photos.columns import PhotoColumns, find_columns
from shopsight.prepare.photos.extract_regions import (
    RegionExtractor,
    RegionSource,
    StoredPhotos,
    extract_all,
)
from shopsight.prepare.photos.finish import TableInfo, finish
from shopsight.prepare.photos.photo_reader import PhotoReader, decode_photos
from shopsight.prepare.photos.queries_and_splits import (
    QueriesAndSplits,
    read_queries_and_splits,
)
from shopsight.prepare.photos.settings import PhotosSettings
from shopsight.prepare.photos.state import PhotosState
from shopsight.prepare.photos.writers import ProductFiles, ProductRows, RegionFiles, photo_offsets
from shopsight.prepare.tables import vocabulary_or_size
from shopsight.types import IntArray, Progress, no_progress


def prepare_photos(
    table: str | Path,
    out: Path | str,
    region_source: RegionSource,
    settings: PhotosSettings | None = None,
    *,
    clicks: Path | str | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> PreparedData:
    """Turn a table of products with photos into a prepared folder.

    The same call resumes an interrupted one, with the same result. It also resumes one that an
    invalid photo stopped, once the photo is repaired or ``on_error`` is "skip".

    Args:
        table: CSV, TSV, JSON Lines, Parquet, a dataset's folder, or a hub id.
        out: the prepared folder to make.
        region_source: an extractor, or the table itself.
        settings: everything else.
        clicks: a click log; without one, queries come from a column or from the texts.
        force: replace the prepared folder at ``out`` once the new one is complete.
        progress: receives "reading", "extracting" with counts of rows and photos, "finishing", and
            "learning: MESSAGE" while an extractor is trained.

    Raises:
        InputError: an unreadable or invalid table, row or photo.
        UsageError: a column that does not exist.
        OutputError: ``out`` exists and is something else, or cannot be written.
    """
    inputs = PhotoInputs(str(table), settings or PhotosSettings(), region_source, clicks)
    out = Path(out)
    check_output_dir(out, inputs.path)
    if has_content(out) and not force:
        existing_manifest(out, inputs.fingerprint)
        return PreparedData.open(out)
    with open_ingest(out, inputs, inputs.fingerprint, progress) as ingest:
        ingest.read(0, len(inputs.table))
        rows, queries = ingest.queries_and_splits()
        ingest.extract(queries)
        progress("finishing", 0, 0)
        finish(ingest.partial, ingest.state, rows, queries, ingest.table_info(), inputs.vocabulary)
        publish(out)
    return PreparedData.open(out)


class PhotoInputs:
    """The inputs of a preparation, opened and checked before any photo is read."""

    def __init__(
        self,
        table: str,
        settings: PhotosSettings,
        region_source: RegionSource,
        clicks: Path | str | None = None,
    ) -> None:
        self.settings, self.region_source = settings, region_source
        self.path = Path(table)
        self.table: Table = open_table(table)
        self.columns: PhotoColumns = find_columns(
            self.table, settings.columns, precomputed=region_source.precomputed
        )
        if not len(self.table):
            raise InputError("no row in the table", path=table)
        self.vocabulary = vocabulary_or_size(settings.photos)
        self.clicks, log_fingerprint = open_click_log(clicks)
        self.table_fingerprint = (
            f"format={PREPARED.version}; table:{self.table.fingerprint()}; "
            f"{json.dumps(settings.as_dict())}; {json.dumps(region_source.settings)}"
        )
        self.fingerprint = f"{self.table_fingerprint}; {log_fingerprint}"


def open_click_log(path: Path | str | None) -> tuple[list[Click] | None, str]:
    """The clicks of a log, if any, and its part of the fingerprint."""
    if path is None:
        return None, "clicks:none"
    return read_clicks(Path(path)), f"clicks:{file_fingerprint(Path(path))}"


class PhotoIngest:
    """The resumable steps of a preparation; use `open_ingest`.

    Attributes:
        partial: the working folder.
        state: the progress.
    """

    def __init__(
        self,
        journal: Journal[PhotosState],
        inputs: PhotoInputs,
        extractor: RegionExtractor | None,
        progress: Progress,
    ) -> None:
        self.partial, self.state = journal.folder, journal.state
        self._journal, self._inputs, self._progress = journal, inputs, progress
        self._config = inputs.settings.photos
        self._extractor = extractor
        self._regions: RegionFiles | None = None

    def read(self, start: int, stop: int) -> None:
        """Store the products of the rows from ``start`` to before ``stop`` not stored yet."""
        state, inputs = self.state, self._inputs
        state.row = max(state.row, start)
        products = ProductFiles(self._journal.files)
        strict = self._config.on_error == "stop"
        reader = PhotoReader(
            inputs.table, inputs.columns, state, products, self._region_files, strict
        )
        if state.row < stop:
            self._progress("reading", state.row - start, stop - start)
            decode = partial(decode_photos, inputs.settings.small)
            with process_pool(decode, self._config.workers) as pool:
                for _ in reader.read(stop, pool):
                    self._journal.checkpoint()
                    self._progress("reading", state.row - start, stop - start)
        if not len(products):
            raise state.no_valid_row(inputs.path)
        self._journal.save()

    def queries_and_splits(self) -> tuple[ProductRows, QueriesAndSplits]:
        """The products with their queries and splits."""
        inputs = self._inputs
        return read_queries_and_splits(self.partial, inputs.settings, inputs.clicks)

    def product_count(self) -> int:
        """Number of products stored so far."""
        return len(ProductFiles(self._journal.files))

    def extract(self, queries: QueriesAndSplits | None) -> None:
        """Store the regions of the products whose regions are not stored yet.

        Only an extractor that has to be trained needs ``queries``.
        """
        if not self._inputs.region_source.precomputed:
            extractor = self._saved_extractor(queries)
            photos, state = self._photos(), self.state
            state.feature_width = extractor.width
            regions = self._region_files(extractor.width)
            self._progress("extracting", state.extracted, len(photos))
            for batch in extract_all(extractor, photos, state.extracted, self._config.workers):
                regions.append(batch)
                state.extracted += len(batch)
                self._journal.checkpoint()
                self._progress("extracting", state.extracted, len(photos))
        self._journal.save()

    def table_info(self) -> TableInfo:
        """Settings and names for ``data.json``."""
        inputs = self._inputs
        labels = self._extractor.label_names if self._extractor else self.state.label_names
        return TableInfo(
            inputs.settings,
            {**inputs.region_source.settings, "label_names": list(labels)},
            inputs.columns.fields(inputs.table.names),
            inputs.table.typed,
        )

    def _photos(self, products: IntArray | None = None) -> StoredPhotos:
        return StoredPhotos(self.partial / "data" / PHOTOS, photo_offsets(self.partial), products)

    def _region_files(self, width: int) -> RegionFiles:
        if self._regions is None:
            config = self._config
            self._regions = RegionFiles(self._journal.files, width, config.dtype, config.shard_mib)
        return self._regions

    def _saved_extractor(self, queries: QueriesAndSplits | None) -> RegionExtractor:
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

    def _learn(self, queries: QueriesAndSplits | None) -> RegionExtractor:
        learn = self._inputs.region_source.learn
        assert learn is not None
        assert queries is not None
        products, words = queries.training_words()
        self._progress("learning", 0, 0)
        return learn(
            self._photos(products),
            words,
            self._inputs.settings.seed,
            lambda message: self._progress(f"learning: {message}", 0, 0),
        )


@contextmanager
def open_ingest(
    out: Path, inputs: PhotoInputs, fingerprint: str, progress: Progress
) -> Iterator[PhotoIngest]:
    """The steps of a preparation in ``OUT.partial``, locked by this process."""
    make = inputs.region_source.make
    # Made before the folder is opened: if that fails, an earlier run's work is not lost.
    extractor: Any = make() if make else None
    with open_journal(out, PhotosState, fingerprint) as journal:
        yield PhotoIngest(journal, inputs, extractor, progress)
