"""Tables of rows with named columns: CSV, TSV, JSON Lines, Parquet; read from any row on.

Text is taken literally. In TSV, quotes mean nothing. In CSV they do, but one that is never closed
costs its own line and no other: a row may span lines only where the quotes close and the columns
fit. A row that cannot be read comes as the error that says why, so that the caller can choose.
"""

from __future__ import annotations

import csv
import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from shopsight.errors import InputError, pluralise
from shopsight.formats.checksums import file_fingerprint
from shopsight.formats.content import BOM
from shopsight.formats.fields import shortened

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_LONGEST_LINE = 64 << 20  # bytes; features of a hundred regions as JSON take less
_MOST_LINES = 1_000  # that one quoted CSV row may span
_NAMED_BY = 1_000  # the rows of JSON Lines whose keys are the columns
_BATCH = 64  # rows of Parquet in memory at once
ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


@dataclass(frozen=True)
class TableRow:
    """A row of a table.

    Attributes:
        number: its number from 1, the header not counted.
        line: its first line from 1, in a file of lines.
        values: what stands in each column; empty if the row cannot be read.
        fault: why not.
    """

    number: int
    line: int | None
    values: dict[str, Any]
    fault: InputError | None = None


class Table(Protocol):
    """What can be read as rows with named columns.

    Attributes:
        path: the file, or what stands for it in sentences.
        folder: what relative paths in it start from.
        names: its columns.
        typed: whether values have types; else all are text, and numbers have to be recognised.
    """

    path: str
    folder: Path
    names: tuple[str, ...]
    typed: bool

    def __len__(self) -> int:
        """Rows, those included that cannot be read."""

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[TableRow]:
        """The rows from ``start`` to before ``stop``, from 0."""

    def fingerprint(self) -> str:
        """Changes with the content."""


def open_file(path: Path) -> Table:
    """A table in one file, known by its ending.

    Raises:
        InputError: no such file, another ending, no header, broken Parquet.
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


class _Lines:
    """A file of lines, whose rows are found once and then read from any of them on."""

    typed = False
    names: tuple[str, ...]

    def __init__(self, path: Path) -> None:
        self.path, self.folder = str(path), path.parent
        self._file = path

    def __len__(self) -> int:
        return len(self._places[0])

    def fingerprint(self) -> str:
        """Changes with the file."""
        return file_fingerprint(self._file)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[TableRow]:
        """The rows from ``start`` to before ``stop``."""
        offsets, lines = self._places
        stop = len(offsets) if stop is None else min(stop, len(offsets))
        if start >= stop:
            return
        with open(self._file, "rb") as file:
            found = self._rows(file, offsets[start], lines[start])
            for number, (_, line, row) in zip(range(start, stop), found, strict=False):
                is_fault = isinstance(row, InputError)
                yield TableRow(number + 1, line, {} if is_fault else row, row if is_fault else None)

    @cached_property
    def _places(self) -> tuple[array[int], array[int]]:
        """Where each row begins, in bytes and in lines."""
        offsets, lines = array("q"), array("q")
        with open(self._file, "rb") as file:
            for offset, line, _ in self._rows(file, *self._first_row()):
                offsets.append(offset)
                lines.append(line)
        return offsets, lines

    def _first_row(self) -> tuple[int, int]:
        raise NotImplementedError

    def _rows(self, file: Any, offset: int, line: int) -> Iterator[tuple[int, int, Any]]:
        """Offset, line, and values or an InputError of every row from ``offset`` on."""
        raise NotImplementedError

    def _raw_lines(self, file: Any, offset: int, line: int) -> Iterator[tuple[int, int, bytes]]:
        file.seek(offset)
        while raw := file.readline(_LONGEST_LINE):
            if len(raw) == _LONGEST_LINE and not raw.endswith(b"\n"):
                reason = f"a line is longer than {_LONGEST_LINE >> 20} MiB"
                raise InputError(reason, path=self.path, line=line)
            yield offset, line, raw
            offset, line = offset + len(raw), line + 1

    def _text(self, raw: bytes, line: int) -> str:
        return decoded_line(raw, self.path, line)


class DelimitedText(_Lines):
    """CSV or TSV under a header.

    Args:
        path: the file.
        literal: tabs divide the columns and quotes mean nothing; else RFC 4180, divided by
            commas, or by semicolons or tabs where the header has more of them.

    Raises:
        InputError: an empty file, or a header with a name twice.
    """

    def __init__(self, path: Path, *, literal: bool) -> None:
        super().__init__(path)
        self._literal = literal
        with open(path, "rb") as file:
            raw = file.readline(_LONGEST_LINE)
        self._start = len(raw)
        header = self._text(raw.removeprefix(BOM), 1)
        if not header.strip():
            raise InputError("the file is empty, or begins with an empty line", path=path)
        self._divider = "\t" if literal else max(",;\t", key=lambda one: header.count(one))
        names = self._split(header)
        self.names = tuple(name.strip() or f"column {i}" for i, name in enumerate(names, 1))
        twice = [name for i, name in enumerate(self.names) if name in self.names[:i]]
        if twice:
            raise InputError("this name heads two columns", path=path, line=1, column=twice[0])

    def _first_row(self) -> tuple[int, int]:
        return self._start, 2

    def _rows(self, file: Any, offset: int, line: int) -> Iterator[tuple[int, int, Any]]:
        lines = _Pushable(self._raw_lines(file, offset, line))
        for place, number, raw in lines:
            if raw.strip():
                try:
                    yield place, number, self._row(lines, raw, number)
                except InputError as error:
                    yield place, number, error

    def _row(self, lines: _Pushable, raw: bytes, number: int) -> dict[str, str]:
        try:
            cells = self._split(self._text(raw, number))
        except _OpenQuoteError:
            cells = self._spanning(lines, raw, number)
        except csv.Error as error:
            reason = f"not well-formed CSV ({error})"
            raise InputError(reason, path=self.path, line=number) from error
        if len(cells) != len(self.names):
            raise self._wrong_count(cells, number)
        return dict(zip(self.names, cells, strict=True))

    def _spanning(self, lines: _Pushable, first: bytes, number: int) -> list[str]:
        """A row whose quotes close on a later line; else that line is read as a row of its own."""
        taken: list[tuple[int, int, bytes]] = []
        text = self._text(first, number, keep_end=True)
        for one in lines:
            taken.append(one)
            try:
                text += self._text(one[2], one[1], keep_end=True)
                if b'"' not in one[2]:
                    raise _OpenQuoteError
                cells = self._split(text)
                if len(cells) == len(self.names):
                    return cells
                break
            except _OpenQuoteError:
                if len(taken) == _MOST_LINES:
                    break
            except (csv.Error, InputError):
                break
        lines.push_back(taken)
        raise InputError("a quote opens here that is not closed", path=self.path, line=number)

    def _split(self, text: str) -> list[str]:
        if self._literal:
            return text.split("\t")
        try:
            rows = list(csv.reader([text], delimiter=self._divider, strict=True))
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise _OpenQuoteError from error
            raise
        return rows[0] if rows else []

    def _text(self, raw: bytes, line: int, *, keep_end: bool = False) -> str:
        text = super()._text(raw, line)
        return text if keep_end else text.removesuffix("\n").removesuffix("\r")

    def _wrong_count(self, cells: list[str], number: int) -> InputError:
        reason = f"{pluralise(len(cells), 'column')}, where the header has {len(self.names)}"
        return InputError(reason, path=self.path, line=number)


class _OpenQuoteError(Exception):
    """The text ends inside quotes."""


class _Pushable:
    """An iterator that takes back what was read too far."""

    def __init__(self, lines: Iterator[tuple[int, int, bytes]]) -> None:
        self._lines = lines
        self._back: list[tuple[int, int, bytes]] = []

    def __iter__(self) -> Iterator[tuple[int, int, bytes]]:
        return self

    def __next__(self) -> tuple[int, int, bytes]:
        return self._back.pop() if self._back else next(self._lines)

    def push_back(self, lines: list[tuple[int, int, bytes]]) -> None:
        self._back += reversed(lines)


class JsonLines(_Lines):
    """A JSON object a line; its columns are the keys of the first rows."""

    typed = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        names: dict[str, None] = {}
        with open(path, "rb") as file:
            for (_, _, row), _ in zip(self._rows(file, 0, 1), range(_NAMED_BY), strict=False):
                names |= {} if isinstance(row, InputError) else dict.fromkeys(row)
        if not names:
            raise InputError("no row that is a JSON object", path=path)
        self.names = tuple(names)

    def _first_row(self) -> tuple[int, int]:
        return 0, 1

    def _rows(self, file: Any, offset: int, line: int) -> Iterator[tuple[int, int, Any]]:
        for place, number, raw in self._raw_lines(file, offset, line):
            raw = raw.removeprefix(BOM) if number == 1 else raw
            if raw.strip():
                try:
                    yield place, number, self._object(raw, number)
                except InputError as error:
                    yield place, number, error

    def _object(self, raw: bytes, number: int) -> dict[str, Any]:
        text = self._text(raw, number)
        try:
            row = json.loads(text.rstrip(), parse_constant=_no_constant)
        except json.JSONDecodeError as error:
            reason = f"broken JSON: {error.msg.lower()}"
            raise InputError(reason, path=self.path, line=number, column=error.colno) from error
        except (ValueError, RecursionError) as error:
            reason = f"broken JSON: {shortened(str(error))}"
            raise InputError(reason, path=self.path, line=number) from error
        if not isinstance(row, dict):
            raise InputError("not a JSON object", path=self.path, line=number)
        if "\\ud" in text.lower() and not _is_unicode(row):
            reason = "text that is no Unicode (half of a surrogate pair)"
            raise InputError(reason, path=self.path, line=number)
        return row


class ParquetTable:
    """A Parquet file.

    Raises:
        InputError: not Parquet, or broken.
    """

    typed = True

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
        """Changes with the file."""
        return file_fingerprint(self._path)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[TableRow]:
        """The rows from ``start`` to before ``stop``."""
        stop = len(self) if stop is None else min(stop, len(self))
        first, groups = self._groups_from(start)
        number = first
        for batch in self._batches(groups):
            if number >= stop:
                return
            wanted = batch.slice(max(start - number, 0), max(stop - max(start, number), 0))
            for place, values in enumerate(wanted.to_pylist(), max(start, number) + 1):
                yield TableRow(place, None, values)
            number += batch.num_rows

    def _batches(self, groups: list[int]) -> Iterator[Any]:
        import pyarrow as pa

        try:
            yield from self._file.iter_batches(_BATCH, groups, list(self.names))
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"broken Parquet ({error})", path=self._path) from error

    def _groups_from(self, start: int) -> tuple[int, list[int]]:
        """The row groups from the one with row ``start`` on, and that group's first row."""
        first, count = 0, self._file.metadata.num_row_groups
        for group in range(count):
            rows = self._file.metadata.row_group(group).num_rows
            if first + rows > start:
                return first, list(range(group, count))
            first += rows
        return first, []


_PANDAS_INDEX = "__index_level_0__"  # pandas writes its row labels under this name


def decoded_line(raw: bytes, path: str, line: int) -> str:
    """A line as text. Raises InputError for what is no UTF-8, and for null bytes."""
    if b"\0" in raw:
        raise InputError("binary data, not text", path=path, line=line)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 text (byte {error.start + 1} of the line)"
        raise InputError(reason, path=path, line=line) from error


def _is_unicode(row: dict[str, Any]) -> bool:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
