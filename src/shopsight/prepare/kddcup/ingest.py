"""Turn raw competition files into a prepared folder: streaming, resumable, each product once.

The work is done in ``OUT.partial``; ``OUT`` appears, complete, by a final rename.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from shopsight.config import KddcupConfig
from shopsight.data.dataset import PREPARED, PreparedData
from shopsight.errors import InputError, ShopsightError
from shopsight.formats.processes import Pool
from shopsight.prepare.journal import Journal, open_journal
from shopsight.prepare.kddcup.finish import IngestState, SmallInputs, finish
from shopsight.prepare.kddcup.line_reader import LinePosition, LineReader
from shopsight.prepare.kddcup.parser import ParsedRows, feature_width_of, header_size, parse_rows
from shopsight.prepare.kddcup.raw_folder import RawFolder, RawSplit, find_raw
from shopsight.prepare.kddcup.regions import RowRules
from shopsight.prepare.kddcup.rows import RowError
from shopsight.prepare.kddcup.writers import PairWriter, ProductWriter
from shopsight.prepare.output_dir import is_prepared, publish
from shopsight.types import Progress, no_progress

_COMPETITION_WIDTH = 2048


def prepare_kddcup(
    raw: Path | str,
    out: Path | str,
    config: KddcupConfig | None = None,
    *,
    splits: Sequence[str] = (),
    labels: Path | str | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> PreparedData:
    """Turn raw competition files into a prepared folder; see `shopsight.api.data.prepare_kddcup`.

    The same call resumes an interrupted one, with the same result. A folder that is already
    prepared from the same files with the same settings is left as it is.

    Raises:
        InputError: an invalid row (with ``on_error="stop"``) or an unreadable raw file.
        OutputError: ``out`` exists and is something else, or cannot be written.
    """
    config, raw, out = config or KddcupConfig(), Path(raw), Path(out)
    folder = find_raw(raw, splits, Path(labels) if labels else None)
    settings = (f"{key}={value}" for key, value in asdict(replace(config, workers=0)).items())
    fingerprint = "; ".join([f"format={PREPARED.version}", *settings, folder.fingerprint()])
    if is_prepared(out, raw, fingerprint, force=force, changed=folder.changed):
        return PreparedData.open(out)
    inputs = SmallInputs.read(folder, config)
    with open_journal(out, IngestState, fingerprint, is_final=_is_invalid_row) as journal:
        KddcupIngest(folder, journal, config, inputs, progress).read()
        finish(journal.folder, journal.state, folder, inputs, config)
        publish(out)
    return PreparedData.open(out)


def _is_invalid_row(error: ShopsightError) -> bool:
    """Whether an error stays until the file changes; an unreadable disk may recover."""
    return isinstance(error, InputError) and error.line is not None


class KddcupIngest:
    """Reads the splits one after the other from the position of the journal's state."""

    def __init__(
        self,
        folder: RawFolder,
        journal: Journal[IngestState],
        config: KddcupConfig,
        inputs: SmallInputs,
        progress: Progress,
    ) -> None:
        self._folder, self._config, self._progress = folder, config, progress
        self._journal, self._state = journal, journal.state
        self._labels = None if inputs.labels is None else frozenset(inputs.labels)
        self._products: ProductWriter | None = None
        self._sizes = [
            0 if split.is_stdin else split.path.stat().st_size for split in folder.splits
        ]

    def read(self) -> None:
        """Read everything that has not been read yet. Raises InputError."""
        state = self._state
        for number in range(state.split, len(self._folder.splits)):
            split = self._folder.splits[number]
            try:
                self._read_split(split)
            except _InvalidFileError as error:
                if self._config.on_error == "stop":
                    raise
                self._skip(split, RowError(error.kind, 0, "", error.reason))
            state.products[split.name] = len(self._products or ())
            state.split, state.offset, state.crc, state.line = number + 1, 0, 0, 0
        self._report("finishing", 0)
        self._journal.save()

    def _read_split(self, split: RawSplit) -> None:
        state = self._state
        with LineReader(split.path, LinePosition(state.offset, state.crc)) as reader:
            first = b""
            if not state.offset:
                first = self._first_rows(split, reader)
                state.line = 1
            products = self._open_products(first)
            pairs = PairWriter(
                self._journal.files, split.name, state.changed_queries.get(split.name, 0)
            )
            state.rows.setdefault(split.name, 0)
            for end, raw_offset, rows in self._parse(reader, first, products):
                self._append(split, rows, products, pairs)
                state.offset, state.crc = end.offset, end.crc
                self._journal.checkpoint()
                self._report(split.name, raw_offset)

    def _first_rows(self, split: RawSplit, reader: LineReader) -> bytes:
        """The first rows after the header."""
        first = reader.read()
        if not first:
            raise _InvalidFileError("empty", "the file is empty", path=split.path)
        header = header_size(first)
        if not header:
            reason = "the header row is missing (product_id, image_h, ... query_id, tab separated)"
            raise _InvalidFileError("header", reason, path=split.path, line=1)
        # The first row may not fit beside the header.
        rows = first[header:] or reader.read()
        if not rows:
            reason = "the file has no rows after its header"
            raise _InvalidFileError("empty", reason, path=split.path)
        return rows

    def _open_products(self, first: bytes) -> ProductWriter:
        """The product writer, which needs the feature width of the first rows."""
        state, config = self._state, self._config
        if not state.feature_width:
            width = config.feature_width or feature_width_of(first)
            state.feature_width = width or _COMPETITION_WIDTH
        if self._products is None:
            self._products = ProductWriter(
                self._journal.files, state.feature_width, config.dtype, config.shard_mib
            )
        return self._products

    def _parse(
        self, reader: LineReader, first: bytes, products: ProductWriter
    ) -> Iterator[tuple[LinePosition, int, ParsedRows]]:
        """Stream position, raw offset and rows of each chunk, parsed by threads, in file order.

        Threads are enough: decoding, converting and hashing release the interpreter's lock.
        """
        rules = RowRules(self._state.feature_width, self._labels, self._config.dtype)

        def chunks() -> Iterator[tuple[tuple[LinePosition, int], bytes]]:
            lines = first or reader.read()
            while lines:
                yield (reader.position, reader.raw_offset()), lines
                lines = reader.read()

        workers = self._config.workers or len(os.sched_getaffinity(0))
        with ThreadPoolExecutor(workers) as threads:
            pool: Pool[bytes, ParsedRows] = Pool(
                lambda lines: parse_rows(lines, rules, products.digest),
                threads if workers > 1 else None,
                workers,
            )
            for (end, raw_offset), rows in pool.map(chunks()):
                yield end, raw_offset, rows

    def _append(
        self, split: RawSplit, rows: ParsedRows, products: ProductWriter, pairs: PairWriter
    ) -> None:
        state = self._state
        rows.shift_lines(state.line)
        index = products.append(rows)
        kept = index >= 0
        conflicts = [
            RowError(
                "conflict",
                int(rows.lines[row]),
                "features",
                f"product {product} appeared before with other regions"
                f" ({products.first_split(product, state.products) or split.name})",
            )
            for row in np.flatnonzero(~kept)
            for product in rows.product_ids[row : row + 1].tolist()
        ]
        for error in sorted([*rows.errors, *conflicts], key=lambda error: error.line):
            if self._config.on_error == "stop":
                raise error.at(split.path)
            self._skip(split, error)
        pairs.append(rows, index, kept)
        state.rows[split.name] += int(kept.sum())
        state.changed_queries[split.name] = pairs.changed
        state.line += rows.line_count
        if not rows.is_complete and split.name not in state.open_ended:
            state.open_ended.append(split.name)

    def _skip(self, split: RawSplit, error: RowError) -> None:
        # The bare file name keeps data.json independent of where the raw files were.
        self._state.skip(split.name, error.kind, str(error.at(split.path.name)))

    def _report(self, stage: str, raw_offset: int) -> None:
        before = sum(self._sizes[: self._state.split])
        total = 0 if self._folder.is_stream else sum(self._sizes)
        self._progress(stage, before + raw_offset, total)


class _InvalidFileError(InputError):
    """A raw file that is invalid as a whole; skipped with ``on_error="skip"``."""

    def __init__(self, kind: str, reason: str, *, path: Path, line: int | None = None) -> None:
        super().__init__(reason, path=path, line=line)
        self.kind = kind
