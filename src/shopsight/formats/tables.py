"""Tables with named columns, readable from any row on: CSV, TSV, JSON Lines and Parquet.

An invalid row becomes a `TableRow` with a fault and affects no other row.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np

from shopsight.errors import InputError, pluralise
from shopsight.formats.checksums import file_fingerprint
from shopsight.formats.content import BOM, decode, utf8_content
from shopsight.formats.encoding import SAMPLE, encoding_of
from shopsight.formats.fields import shortened

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_LONGEST_LINE = 64 << 20  # bytes; features of a hundred regions as JSON take less
_MAX_ROW_LINES = 1_000  # lines of one quoted CSV row
_MOST_COLUMNS = 10_000  # of JSON Lines; more keys are values
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?')  # which Excel reads and writes before the header
_BATCH = 64  # rows of Parquet in memory at once
_PANDAS_INDEX = "__index_level_0__"  # pandas writes its row labels under this name
ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


@dataclass(frozen=True)
class TableRow:
    """A row by number (from 1, without the header) and first line, if the file has lines.

    An invalid row has a fault and no values.
    """

    number: int
    line: int | None
    values: dict[str, Any]
    fault: InputError | None = None


class Table(Protocol):
    """A sequence of rows with named columns.

    Attributes:
        path: the file or data set, as messages name it.
        folder: base of relative paths in the table.
        names: the columns.
    """

    path: str
    folder: Path
    names: tuple[str, ...]

    def __len__(self) -> int:
        """Number of rows, invalid ones included."""

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[TableRow]:
        """Rows ``start:stop``."""

    def fingerprint(self) -> str:
        """A hash that changes with the content."""


def open_file(path: Path) -> Table:
    """Open a table file; its ending tells the format.

    Raises:
        InputError: no such file, an unknown ending, no header, broken Parquet.
    """
    if not path.is_file():
        raise InputError("no such file", path=path)
    ending = path.suffix.lower()
    if ending == ".parquet":
        return ParquetTable(path)
    if ending in (".jsonl", ".ndjson"):
        return JsonLines(path)
    if ending in (".csv", ".tsv"):
        return DelimitedText(path, literal=ending == ".tsv")
    raise InputError(f"not a table by its name (known: {', '.join(ENDINGS)})", path=path)


class _LineTable:
    """A file of lines; one pass finds where rows begin, later reads start at any of them."""

    names: tuple[str, ...]

    def __init__(self, path: Path) -> None:
        self.path, self.folder = str(path), path.parent
        self._file = path
        self._start = 0, 1  # byte offset and line of the first row
        with self._open() as file:
            first, mark, _ = file.readline(_LONGEST_LINE).rstrip(b"\r\n").partition(b"\r")
        if mark and first.count(b'"') % 2 == 0:  # a quoted cell may hold a carriage return
            reason = "lines end with carriage returns only, as on old Macs"
            raise InputError(f"{reason}; save the file with line feeds", path=path, line=1)

    def __len__(self) -> int:
        return len(self._row_starts[0])

    def fingerprint(self) -> str:
        """A hash that changes with the file."""
        return file_fingerprint(self._file)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[TableRow]:
        """Rows ``start:stop``."""
        offsets, lines = self._row_starts
        numbers = range(len(self))[start:stop]
        if not numbers:
            return
        with self._open() as file:
            rows = self._read_rows(file, offsets[start], lines[start])
            for number, (_, line, row) in zip(numbers, rows, strict=False):
                if isinstance(row, InputError):
                    yield TableRow(number + 1, line, {}, row)
                else:
                    yield TableRow(number + 1, line, row)

    @cached_property
    def _row_starts(self) -> tuple[array[int], array[int]]:
        """Byte offset and line of every row."""
        offsets, lines = array("q"), array("q")
        with self._open() as file:
            for offset, line, _ in self._read_rows(file, *self._start):
                offsets.append(offset)
                lines.append(line)
        return offsets, lines

    def _open(self) -> IO[bytes]:
        """The file as UTF-8, perhaps with a byte order mark."""
        return io.BytesIO(self._decoded) if self._decoded else open(self._file, "rb")

    @cached_property
    def _decoded(self) -> bytes | None:
        """The content of a file in another encoding."""
        with open(self._file, "rb") as file:
            is_utf8 = encoding_of(file.read(SAMPLE)).startswith("utf-8")
        return None if is_utf8 else utf8_content(self._file.read_bytes(), self._file)

    def _read_rows(
        self, file: IO[bytes], offset: int, line: int
    ) -> Iterator[tuple[int, int, dict[str, Any] | InputError]]:
        """Offset, line, and values or error of every row from ``offset`` on."""
        while True:
            # A row that took more lines than it turned out to have is read past its end.
            file.seek(offset)
            lines = [self._read_line(file, line)]
            if not lines[0]:
                return
            if lines[0].strip():
                try:
                    yield offset, line, self._parse(lines, file, line)
                except InputError as error:
                    yield offset, line, error
            offset, line = offset + sum(map(len, lines)), line + len(lines)

    def _read_line(self, file: IO[bytes], line: int) -> bytes:
        raw = file.readline(_LONGEST_LINE)
        if len(raw) == _LONGEST_LINE and not raw.endswith(b"\n"):
            reason = f"a line is longer than {_LONGEST_LINE >> 20} MiB"
            raise InputError(reason, path=self.path, line=line)
        return raw

    def _parse(self, lines: list[bytes], file: IO[bytes], line: int) -> dict[str, Any]:
        """The row that begins with ``lines[0]``; further lines of it are appended to ``lines``."""
        raise NotImplementedError


class _OpenQuoteError(Exception):
    """The text ends inside quotes."""


class DelimitedText(_LineTable):
    """CSV or TSV under a header.

    With ``literal``, tabs separate the columns and quotes have no meaning. Otherwise RFC 4180
    holds, with commas, or with semicolons or tabs where the header has more of them, or with what
    a first line ``sep=;`` names. Blanks around cells are stripped.

    Raises:
        InputError: an empty file, a broken header, or one with a duplicate name.
    """

    def __init__(self, path: Path, *, literal: bool) -> None:
        super().__init__(path)
        csv.field_size_limit(_LONGEST_LINE)
        self._literal, self._separator = literal, "\t"
        with self._open() as file:
            lines, line = [self._read_line(file, 1).removeprefix(BOM)], 1
            text = self._decode(lines[0], 1)
            if named := _SEPARATOR_LINE.fullmatch(text.strip()):
                lines, line = [self._read_line(file, 2)], 2
                text = self._decode(lines[0], 2)
            if not text.strip():
                reason = "the file is empty, or begins with an empty line"
                raise InputError(reason, path=path)
            if not literal:
                self._separator = named[1] if named else max(",;\t", key=text.count)
            start = file.tell()
            names = self._cells(lines, file, line)
        self._start = start + sum(map(len, lines[1:])), line + len(lines)
        self.names = tuple(
            unicodedata.normalize("NFC", " ".join(name.split())) or f"column {i}"
            for i, name in enumerate(names, 1)
        )
        for i, name in enumerate(self.names):
            if name in self.names[:i]:
                raise InputError("duplicate column name", path=path, line=line, column=name)

    def _parse(self, lines: list[bytes], file: IO[bytes], line: int) -> dict[str, str]:
        return dict(zip(self.names, self._cells(lines, file, line, self.names), strict=True))

    def _cells(
        self, lines: list[bytes], file: IO[bytes], line: int, names: Sequence[str] = ()
    ) -> list[str]:
        """The cells of a row, as many as there are ``names`` (any number for the header).

        Blanks before a quote are skipped, unless they turn out to belong to the cell.
        """
        errors: list[InputError] = []
        for skips_blanks in (True, False):
            try:
                cells = self._read_cells(lines, file, line, skips_blanks, len(names))
                if len(cells) == len(names) or not names:
                    return [cell.strip() for cell in cells]
                reason = f"{pluralise(len(cells), 'column')}, where the header has {len(names)}"
                raise InputError(reason, path=self.path, line=line)
            except InputError as error:
                errors.append(error)
                del lines[1:]
        raise errors[0]

    def _read_cells(
        self, lines: list[bytes], file: IO[bytes], line: int, skips_blanks: bool, count: int
    ) -> list[str]:
        try:
            return self._split(self._decode(lines[0], line), skips_blanks)
        except _OpenQuoteError:
            return self._read_span(lines, file, line, skips_blanks, count)
        except csv.Error as error:
            reason = f"not well-formed CSV ({error})"
            raise InputError(reason, path=self.path, line=line) from error

    def _read_span(
        self, lines: list[bytes], file: IO[bytes], line: int, skips_blanks: bool, count: int
    ) -> list[str]:
        """The cells of a row whose quotes close on a later line.

        Where they do not close within reason, only the first line is lost: a stray quote must not
        swallow the rest of the file.
        """
        text = decode(lines[0], self.path, line)
        while len(lines) <= _MAX_ROW_LINES and (raw := self._read_line(file, line + len(lines))):
            try:
                text += decode(raw, self.path, line + len(lines))
                lines.append(raw)
                # Only a line with a quote can close one; splitting at every line is quadratic.
                cells = self._split(text, skips_blanks) if b'"' in raw else []
            except _OpenQuoteError:
                continue
            except (csv.Error, InputError):
                break
            if cells and count in (0, len(cells)):
                return cells
            if cells:
                break
        file.seek(-sum(map(len, lines[1:])), io.SEEK_CUR)
        del lines[1:]
        raise InputError("a quote opens here and does not close", path=self.path, line=line)

    def _split(self, text: str, skips_blanks: bool) -> list[str]:
        if self._literal:
            return text.split("\t")
        try:
            reader = csv.reader(
                [text], delimiter=self._separator, strict=True, skipinitialspace=skips_blanks
            )
            return next(reader, [])
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise _OpenQuoteError from error
            bare = re.sub(rf'"[ \t]+(?={re.escape(self._separator)}|$)', '"', text)
            if bare != text:  # blanks after a closing quote
                return self._split(bare, skips_blanks)
            raise

    def _decode(self, raw: bytes, line: int) -> str:
        return decode(raw, self.path, line).removesuffix("\n").removesuffix("\r")


class JsonLines(_LineTable):
    """One JSON object per line; the columns are the keys of all rows."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._keys: dict[str, None] = {}
        rows = len(self)  # reads every row, and so every key
        if not self._keys:
            raise InputError("no row is a JSON object", path=path)
        if len(self._keys) > _MOST_COLUMNS:
            reason = f"{len(self._keys):,} different keys in {pluralise(rows, 'row')}"
            raise InputError(f"{reason}, where the keys name the columns", path=path)
        self.names = tuple(self._keys)

    def _parse(self, lines: list[bytes], file: IO[bytes], line: int) -> dict[str, Any]:  # noqa: ARG002
        text = decode(lines[0].removeprefix(BOM) if line == 1 else lines[0], self.path, line)
        try:
            row = json.loads(text.rstrip(), parse_constant=_reject_constant)
        except json.JSONDecodeError as error:
            reason = f"broken JSON: {error.msg.lower()}"
            raise InputError(reason, path=self.path, line=line, column=error.colno) from error
        except (ValueError, RecursionError) as error:
            reason = f"broken JSON: {shortened(str(error))}"
            raise InputError(reason, path=self.path, line=line) from error
        if not isinstance(row, dict):
            raise InputError("not a JSON object", path=self.path, line=line)
        try:
            # Only an escape can spell half of a surrogate pair, which no UTF-8 file can hold.
            if "\\ud" in text.lower():
                json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            reason = "not valid Unicode (half of a surrogate pair)"
            raise InputError(reason, path=self.path, line=line) from error
        self._keys |= dict.fromkeys(row)
        return row


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


class ParquetTable:
    """A Parquet file. Raises InputError if it is broken."""

    def __init__(self, path: Path) -> None:
        self.path, self.folder = str(path), path.parent
        self._path = path
        self.names = tuple(n for n in self._file.schema_arrow.names if n != _PANDAS_INDEX)

    @cached_property
    def _file(self) -> pq.ParquetFile:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(self._path)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"not readable as Parquet ({error})", path=self._path) from error

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    def fingerprint(self) -> str:
        """A hash that changes with the file."""
        return file_fingerprint(self._path)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[TableRow]:
        """Rows ``start:stop``."""
        import pyarrow as pa

        metadata = self._file.metadata
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        ends = np.cumsum(sizes, dtype=np.int64)
        # Parquet can only be entered at a row group: begin with the one that holds ``start``.
        first = int(np.searchsorted(ends, start, side="right"))
        number = int(ends[first - 1]) if first else 0
        stop = len(self) if stop is None else min(stop, len(self))
        try:
            groups = list(range(first, len(sizes)))
            for batch in self._file.iter_batches(_BATCH, groups, list(self.names)):
                if number >= stop:
                    return
                skipped = max(start - number, 0)
                part = batch.slice(skipped, max(stop - number - skipped, 0)).to_pylist()
                for i, values in enumerate(part, number + skipped + 1):
                    yield TableRow(i, None, values)
                number += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"broken Parquet ({error})", path=self._path) from error
