"""A table of photos in, prepared folder out: streaming, resumable, each product once.

First the rows: every photo becomes a small JPEG. Then, where asked for, a network learns from the
photos of the training products. Then the stored photos are described. Last come the tables. Each
step goes on where it was cut short.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from shopsight.config import (
    PhotoColumnsConfig,
    PhotosConfig,
    QueryGenerationConfig,
    SmallPhotoConfig,
)
from shopsight.data.dataset import PREPARED, PreparedData
from shopsight.data.photo_store import PHOTOS
from shopsight.errors import InputError, UsageError
from shopsight.formats.atomic import atomic_folder
from shopsight.formats.checksums import file_fingerprint
from shopsight.formats.click_logs import Click, read_clicks
from shopsight.formats.dataset_tables import open_table
from shopsight.formats.locks import folder_lock
from shopsight.formats.processes import process_pool
from shopsight.formats.tables import Table
from shopsight.prepare.journal import GrowingFiles, Journal, remove_abandoned
from shopsight.prepare.output_dir import check_place, put_in_place, the_same
from shopsight.prepare.photos.asking import ask, asked_words
from shopsight.prepare.photos.columns import PhotoColumns, find_columns
from shopsight.prepare.photos.extract_regions import (
    RegionExtractor,
    RegionSource,
    StoredPhotos,
    describe_all,
)
from shopsight.prepare.photos.finish import EXTRACTOR, About, finish
from shopsight.prepare.photos.photo_reader import Decode, PhotoReader
from shopsight.prepare.photos.queries_and_splits import Shoppers
from shopsight.prepare.photos.state import PhotosState
from shopsight.prepare.photos.writers import (
    ProductFiles,
    ProductRows,
    RegionFiles,
    photo_offsets,
)
from shopsight.text.vocabulary import Vocabulary, load_vocabulary


@dataclass(frozen=True)
class PhotosProgress:
    """How far a preparation is.

    Attributes:
        stage: "reading", "learning", "describing" or "finishing".
        done: rows read, or photos described.
        total: how many there are.
        said: what learning has to say.
    """

    stage: str
    done: int
    total: int
    said: str = ""


@dataclass(frozen=True)
class PhotosSettings:
    """All settings of a preparation of photos.

    Attributes:
        photos: how it is done.
        columns: which column is what.
        small: how photos are stored.
        shoppers: queries, splits and pools.
        seed: of everything random.
    """

    photos: PhotosConfig = field(default_factory=PhotosConfig)
    columns: PhotoColumnsConfig = field(default_factory=PhotoColumnsConfig)
    small: SmallPhotoConfig = field(default_factory=SmallPhotoConfig)
    shoppers: QueryGenerationConfig = field(default_factory=QueryGenerationConfig)
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For ``data.json``: all that changes the result."""
        same = replace(self, photos=replace(self.photos, workers=0, on_error="stop"))
        return asdict(same)


Progress = Callable[[PhotosProgress], None]


def prepare_photos(
    table: str,
    out: Path | str,
    region_source: RegionSource,
    settings: PhotosSettings | None = None,
    *,
    clicks: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> PreparedData:
    """Turn a table of products with photos into a prepared folder.

    A call that was cut short is continued by the same call, with the same result; so is one that
    a bad photo stopped, once the photo is mended or ``on_error`` is "skip".

    Args:
        table: CSV, TSV, JSON Lines, Parquet, a dataset's folder, or a hub id.
        out: the prepared folder to make.
        region_source: where regions come from.
        settings: everything else.
        clicks: a click log; without one, queries come from the column or are made from texts.
        force: replace the prepared folder that is at ``out``, once the new one is complete.
        progress: told how far it is.

    Raises:
        InputError: a table, row or photo that cannot be read.
        UsageError: columns that are not there.
        OutputError: ``out`` exists and is something else, or cannot be written.
    """
    source = PhotoSource(table, settings or PhotosSettings(), region_source, clicks)
    out = Path(out)
    check_place(out, source.place)
    partial = out.with_name(f"{out.name}.partial")
    if not force and out.exists() and any(out.iterdir()):
        data = the_same(out, source.fingerprint)
        remove_abandoned(partial)
        return data
    with preparation(partial, source, source.fingerprint, progress) as work:
        work.read(0, len(source.table))
        rows, shoppers = work.ask()
        work.describe(shoppers)
        work.report("finishing", 0, 0)
        finish(partial, work.state, rows, shoppers, source.about(work))
        put_in_place(partial, out)
    return PreparedData.open(out)


class PhotoSource:
    """What a preparation is made from, read as far as no photo is concerned.

    Args:
        table: the table's name.
        settings: of everything.
        region_source: where regions come from.
        pairs: the click log, if there is one.
    """

    def __init__(
        self, table: str, settings: PhotosSettings, region_source: RegionSource, pairs: Path | None
    ) -> None:
        self.settings, self.region_source, self.pairs = settings, region_source, pairs
        self.table: Table = open_table(table)
        self.place = Path(table)
        self.columns: PhotoColumns = find_columns(
            self.table, settings.columns, precomputed=region_source.precomputed
        )
        if not len(self.table):
            raise InputError("no row in the table", path=table)
        self.clicks: list[Click] | None = read_clicks(pairs) if pairs else None
        tokenizer = settings.photos.tokenizer
        self.vocabulary: Vocabulary | None = load_vocabulary(tokenizer) if tokenizer else None
        log = file_fingerprint(pairs) if pairs else "none"
        self.fingerprint_before_log = (
            f"format={PREPARED.version}; table:{self.table.fingerprint()}; "
            f"{json.dumps(settings.as_dict())}; {json.dumps(region_source.settings)}"
        )
        self.fingerprint = f"{self.fingerprint_before_log}; pairs:{log}"

    def about(self, work: Preparation) -> About:
        """What ``data.json`` will say."""
        return About(
            self.fingerprint,
            self.settings.as_dict(),
            work.extractor_about(),
            self.columns.fields(self.table.names),
            self.table.typed,
            self.vocabulary,
            self.settings.photos.vocabulary_size,
        )


class Preparation:
    """The steps of a preparation in its ``.partial`` folder; made by `preparation`.

    Attributes:
        state: how far it is.
    """

    def __init__(
        self,
        partial: Path,
        source: PhotoSource,
        fingerprint: str,
        extractor: RegionExtractor | None,
        progress: Progress | None,
    ) -> None:
        self.partial, self._source, self._progress = partial, source, progress
        self._config = source.settings.photos
        self._journal = Journal(partial / "journal.json")
        noted = self._journal.read() or {}
        if noted.get("fingerprint") != fingerprint:
            noted = {"fingerprint": fingerprint}
        self.state = PhotosState(**noted)
        for name in ("data", "spool"):
            if not self.state.lengths:  # whatever an abandoned run left behind
                shutil.rmtree(partial / name, ignore_errors=True)
                shutil.rmtree(partial / EXTRACTOR, ignore_errors=True)
            (partial / name).mkdir(exist_ok=True)
        self._files = GrowingFiles(partial, self.state.lengths)
        self._regions: RegionFiles | None = None
        self._extractor = extractor

    def read(self, start: int, stop: int) -> None:
        """Store the products of the rows from ``start`` to before ``stop`` not stored yet."""
        state, source = self.state, self._source
        state.row = max(state.row, start)
        products = ProductFiles(self._files)
        strict = self._config.on_error == "stop"
        reader = PhotoReader(source.table, source.columns, state, stop, strict)
        if state.row < stop:
            self.report("reading", state.row - start, stop - start)
            with process_pool(Decode(source.settings.small), self._config.workers) as pool:
                for _ in reader.read(pool, products, self._open_regions):
                    self._journal.offer(self._files, self._noted)
                    self.report("reading", state.row - start, stop - start)
        if not len(products):
            raise _nothing_good(state, source)
        self.note()

    def ask(self) -> tuple[ProductRows, Shoppers]:
        """The products, and what shoppers do with them."""
        source, settings = self._source, self._source.settings
        return ask(
            self.partial,
            settings.shoppers,
            settings.seed,
            source.clicks,
            as_given=bool(source.columns.split),
            from_column=bool(source.columns.queries),
        )

    def product_count(self) -> int:
        """Products stored so far."""
        return len(ProductFiles(self._files))

    def describe(self, shoppers: Shoppers | None) -> None:
        """Store the regions of the products whose regions are not stored yet."""
        if not self._source.region_source.precomputed:
            extractor = self._saved_extractor(shoppers)
            photos, state = self._photos(), self.state
            state.feature_width = extractor.width
            regions = self._open_regions(extractor.width)
            self.report("describing", state.described, len(photos))
            for batch in describe_all(extractor, photos, state.described, self._config.workers):
                regions.append(batch)
                state.described += len(batch)
                self._journal.offer(self._files, self._noted)
                self.report("describing", state.described, len(photos))
        self.note()

    def extractor_about(self) -> dict[str, Any]:
        """Name, settings and label names of what described the photos."""
        settings = self._source.region_source.settings
        if self._source.region_source.precomputed:
            return {**settings, "label_names": self.state.label_names}
        assert self._extractor is not None
        return {**settings, "label_names": list(self._extractor.label_names)}

    def note(self) -> None:
        """Write down how far it is."""
        self.state.lengths = self._files.lengths()
        self._journal.note(self._files, self._noted())

    def has_notes(self) -> bool:
        """Whether a later call could go on from what was noted."""
        return self._journal.path.exists()

    def report(self, stage: str, done: int, total: int, said: str = "") -> None:
        """Say how far it is."""
        if self._progress:
            self._progress(PhotosProgress(stage, done, total, said))

    def close(self) -> None:
        """Let go of the files; what was noted can be continued."""
        self._journal.close()
        self._files.close()

    def _noted(self) -> dict[str, Any]:
        return asdict(self.state)

    def _photos(self, which: np.ndarray[Any, Any] | None = None) -> StoredPhotos:
        return StoredPhotos(self.partial / "data" / PHOTOS, photo_offsets(self.partial), which)

    def _open_regions(self, width: int) -> RegionFiles:
        if self._regions is None:
            config = self._config
            self._regions = RegionFiles(self._files, width, config.dtype, config.shard_mib)
        return self._regions

    def _saved_extractor(self, shoppers: Shoppers | None) -> RegionExtractor:
        """The extractor as it was saved, after it was made or learned if it is not there yet."""
        folder, region_source = self.partial / EXTRACTOR, self._source.region_source
        assert region_source.load is not None
        if not folder.is_dir():
            extractor = self._extractor or self._learn(shoppers)
            with atomic_folder(folder) as temporary:
                extractor.save(temporary)
        self._extractor = region_source.load(folder)
        return self._extractor

    def _learn(self, shoppers: Shoppers | None) -> RegionExtractor:
        learn = self._source.region_source.learn
        assert learn is not None
        if shoppers is None:
            reason = "--learn looks at the whole catalogue, which a shard does not have"
            raise UsageError(f"{reason}: learn first, then describe shards with --extractor FOLDER")
        which = np.flatnonzero(shoppers.splits == 0)
        labels = [sorted(shoppers.words.sets[i]) for i in which.tolist()]
        if not any(labels):
            labels = asked_words(shoppers, which)
        self.report("learning", 0, 0)
        return learn(
            self._photos(which),
            labels,
            self._source.settings.seed,
            lambda said: self.report("learning", 0, 0, said),
        )


@contextmanager
def preparation(
    partial: Path, source: PhotoSource, fingerprint: str, progress: Progress | None
) -> Iterator[Preparation]:
    """A preparation locked by this process; recorded progress is kept on interruption."""
    make = source.region_source.make
    extractor = make() if make else None  # first: if there is none, nothing is touched
    partial.mkdir(parents=True, exist_ok=True)
    with folder_lock(partial):
        work = Preparation(partial, source, fingerprint, extractor, progress)
        try:
            yield work
        except (InputError, UsageError):
            if not work.has_notes():
                shutil.rmtree(partial)
            raise
        finally:
            work.close()


def _nothing_good(state: PhotosState, source: PhotoSource) -> InputError:
    firsts = [entry["first"] for entry in state.skipped.values()]
    first = f" (the first bad one: {firsts[0]})" if firsts else ""
    return InputError(f"no good row, so there is nothing to prepare{first}", path=source.place)
