"""Raw competition files in, prepared folder out: streaming, resumable, each product once.

Work goes on in ``OUT.partial``; ``OUT`` appears, complete, by a rename at the very end.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from shopsight.config import KddcupConfig
from shopsight.data.dataset import PREPARED, PreparedData
from shopsight.errors import InputError
from shopsight.formats.locks import folder_lock
from shopsight.prepare.journal import GrowingFiles, Journal, remove_abandoned
from shopsight.prepare.kddcup.finish import finish
from shopsight.prepare.kddcup.line_reader import LinePosition, LineReader
from shopsight.prepare.kddcup.parser import feature_width_of, header_size
from shopsight.prepare.kddcup.raw_folder import RawFolder, RawSplit, find_raw
from shopsight.prepare.kddcup.regions import RowRules
from shopsight.prepare.kddcup.rows import RowError
from shopsight.prepare.kddcup.state import IngestState, SmallInputs
from shopsight.prepare.kddcup.stream import Parsed, RowStream, row_stream
from shopsight.prepare.kddcup.writers import PairWriter, ProductWriter
from shopsight.prepare.output_dir import check_place, put_in_place, the_same

_COMPETITION_WIDTH = 2048


@dataclass(frozen=True)
class IngestProgress:
    """How far the reading of raw files is.

    Attributes:
        stage: the split being read, or "finishing": tables, vocabulary and checksums.
        rows: rows read so far, over all splits.
        bytes_read: bytes of raw files read so far, over all splits (compressed ones for gzip).
        bytes_total: bytes there are to read; 0 where that is not known.
    """

    stage: str
    rows: int
    bytes_read: int
    bytes_total: int


def prepare_kddcup(
    raw: Path | str,
    out: Path | str,
    config: KddcupConfig | None = None,
    *,
    splits: tuple[str, ...] = (),
    labels: Path | None = None,
    force: bool = False,
    progress: Callable[[IngestProgress], None] | None = None,
) -> PreparedData:
    """Turn raw competition files into a prepared folder.

    A call that was cut short is continued by the same call, with the same result. A folder
    that is already prepared from the same files with the same settings is left as it is.

    Args:
        raw: the raw folder, one raw file, or "-" for standard input.
        out: the prepared folder to make.
        config: number format, error policy, workers, vocabulary.
        splits: the splits to take; all by default.
        labels: the label file, where it is not beside the splits.
        force: replace the prepared folder that is at ``out``, once the new one is complete.
        progress: called after every chunk.

    Raises:
        InputError: a bad row (with ``on_error="stop"``) or a raw file that cannot be read.
        OutputError: ``out`` exists and is something else, or cannot be written.
    """
    config, raw, out = config or KddcupConfig(), Path(raw), Path(out)
    folder = find_raw(raw, splits, labels)
    check_place(out, raw)
    fingerprint = _fingerprint(folder, config)
    partial = out.with_name(f"{out.name}.partial")
    if not force and out.exists() and any(out.iterdir()):
        is_stream = any(split.is_stdin for split in folder.splits)
        data = the_same(out, fingerprint, is_stream=is_stream)
        remove_abandoned(partial)
        return data
    inputs = SmallInputs.read(folder, config)
    partial.mkdir(parents=True, exist_ok=True)
    with folder_lock(partial):
        ingest = _Ingest(folder, partial, config, fingerprint, inputs, progress)
        try:
            with closing(ingest):
                ingest.run()
            finish(partial, ingest.state, folder, inputs, config)
        except InputError as error:
            # A row that was refused will not be there next time; a file that could not be read may.
            if error.line is not None or not ingest.has_notes():
                shutil.rmtree(partial)
            raise
        put_in_place(partial, out)
    return PreparedData.open(out)


def _fingerprint(folder: RawFolder, config: KddcupConfig) -> str:
    settings = asdict(replace(config, workers=0))
    parts = [f"{key}={value}" for key, value in settings.items()]
    return "; ".join([f"format={PREPARED.version}", *parts, folder.fingerprint()])


class _Ingest:
    """Reads the splits one after the other and notes how far it is."""

    def __init__(
        self,
        folder: RawFolder,
        partial: Path,
        config: KddcupConfig,
        fingerprint: str,
        inputs: SmallInputs,
        progress: Callable[[IngestProgress], None] | None,
    ) -> None:
        self._folder, self._config, self._progress = folder, config, progress
        self._labels = inputs.labels
        self._journal = Journal(partial / "journal.json")
        noted = self._journal.read() or {}
        if noted.get("fingerprint") != fingerprint:
            noted = {"fingerprint": fingerprint}
        self.state = IngestState(**noted)
        for name in ("data", "spool"):
            if not self.state.lengths:  # whatever an abandoned run left behind
                shutil.rmtree(partial / name, ignore_errors=True)
            (partial / name).mkdir(exist_ok=True)
        self._files = GrowingFiles(partial, self.state.lengths)
        self._products: ProductWriter | None = None
        self._rules: RowRules | None = None
        self._sizes = [0 if one.is_stdin else one.path.stat().st_size for one in folder.splits]

    def run(self) -> None:
        """Read what has not been read yet."""
        with row_stream(self._config.workers) as stream:
            for number in range(self.state.split, len(self._folder.splits)):
                split = self._folder.splits[number]
                try:
                    self._read_split(split, stream)
                except _RefusedFileError as error:
                    if self._config.on_error == "stop":
                        raise error.error from None
                    self._count_skipped(split, RowError(error.kind, 0, "", error.error.reason))
                self.state.products[split.name] = len(self._products or ())
                self.state.split, self.state.offset, self.state.crc = number + 1, 0, 0
                self.state.line = 0
        self.state.lengths = self._files.lengths()
        self._report("finishing", 0)
        self._journal.note(self._files, self._noted())

    def has_notes(self) -> bool:
        """Whether a later call could go on from what was noted."""
        return self._journal.path.exists()

    def close(self) -> None:
        """Let go of the files; what was noted can be continued."""
        self._journal.close()
        self._files.close()

    def _noted(self) -> dict[str, Any]:
        return asdict(self.state)

    def _read_split(self, split: RawSplit, stream: RowStream) -> None:
        state = self.state
        with LineReader(split.path, LinePosition(state.offset, state.crc)) as reader:
            first = skip = 0
            if not state.offset:
                first, skip = self._first_rows(split, stream, reader)
                state.line = 1
            rules, products = self._open(stream, first, skip)
            changed = state.changed_queries.get(split.name, 0)
            pairs = PairWriter(self._files, split.name, changed)
            state.rows.setdefault(split.name, 0)
            for parsed in stream.parse(reader, rules, first, skip):
                self._append(split, parsed, products, pairs)
                self._journal.offer(self._files, self._noted)
                self._report(split.name, parsed.raw_offset)

    def _first_rows(
        self, split: RawSplit, stream: RowStream, reader: LineReader
    ) -> tuple[int, int]:
        """Size of the first chunk and of the header in it."""
        first = stream.first_chunk(reader)
        if not first:
            raise _RefusedFileError("empty", InputError("the file is empty", path=split.path))
        skip = header_size(stream.peek(min(first, 1 << 16)))
        if not skip:
            reason = "the header row is missing (product_id, image_h, ... query_id, tab separated)"
            raise _RefusedFileError("header", InputError(reason, path=split.path, line=1))
        if skip == first:  # a first line so long that it is not in this chunk, or none at all
            first, skip = stream.first_chunk(reader), 0
        if not first:
            reason = "the file is empty but for its header"
            raise _RefusedFileError("empty", InputError(reason, path=split.path))
        return first, skip

    def _open(self, stream: RowStream, first: int, skip: int) -> tuple[RowRules, ProductWriter]:
        """The rules and the product writer, made when the feature width is known."""
        if not self.state.feature_width:
            found = self._config.feature_width or feature_width_of(stream.peek(first)[skip:])
            self.state.feature_width = found or _COMPETITION_WIDTH
        width, config = self.state.feature_width, self._config
        if self._rules is None or self._products is None:
            labels = None if self._labels is None else frozenset(self._labels)
            self._rules = RowRules(width, labels, config.dtype)
            self._products = ProductWriter(self._files, width, config.dtype, config.shard_mib)
        return self._rules, self._products

    def _append(
        self, split: RawSplit, parsed: Parsed, products: ProductWriter, pairs: PairWriter
    ) -> None:
        rows, state = parsed.rows, self.state
        rows.numbered_after(state.line)
        index = products.append(rows)
        kept = index >= 0
        conflicts = [
            RowError(
                "conflict",
                int(rows.lines[row]),
                "features",
                f"product {product} was met before with other regions"
                f" ({products.first_split(product, state.products) or split.name})",
            )
            for row in np.flatnonzero(~kept)
            for product in rows.product_ids[row : row + 1].tolist()
        ]
        for error in sorted([*rows.errors, *conflicts], key=lambda error: error.line):
            if self._config.on_error == "stop":
                raise error.at(split.path)
            self._count_skipped(split, error)
        pairs.append(rows, index, kept)
        state.rows[split.name] += int(kept.sum())
        state.changed_queries[split.name] = pairs.changed
        state.offset, state.crc = parsed.end.offset, parsed.end.crc
        state.line += rows.line_count
        if not rows.is_complete and split.name not in state.open_ended:
            state.open_ended.append(split.name)

    def _count_skipped(self, split: RawSplit, error: RowError) -> None:
        kinds = self.state.skipped.setdefault(split.name, {})
        first = str(error.at(split.path.name))
        kinds.setdefault(error.kind, {"count": 0, "first": first})["count"] += 1

    def _report(self, stage: str, raw_offset: int) -> None:
        if self._progress is None:
            return
        before = sum(self._sizes[: self.state.split])
        rows = sum(self.state.rows.values())
        total = 0 if any(one.is_stdin for one in self._folder.splits) else sum(self._sizes)
        self._progress(IngestProgress(stage, rows, before + raw_offset, total))


class _RefusedFileError(Exception):
    """A raw file as a whole is refused: left out with ``on_error="skip"``."""

    def __init__(self, kind: str, error: InputError) -> None:
        super().__init__(str(error))
        self.kind, self.error = kind, error
