"""Read candidate pools, duplicates and query texts included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from shopsight.errors import InputError
from shopsight.formats.content import BOM, decode, open_input
from shopsight.formats.layouts import headed
from shopsight.formats.row_reader import parse_rows, read_table
from shopsight.types import Pools

# A row with the features of a hundred regions takes 1 MB; nothing honest is near this.
_LONGEST_LINE = 64 << 20


@dataclass(frozen=True, eq=False)
class CandidateFile:
    """Pools, which may hold a product twice, and ``{query id: text}`` if the file has texts."""

    pools: Pools
    texts: dict[str, str] | None


def read_candidates(path: str | Path) -> CandidateFile:
    """Read candidates from a run of any format, or from a table of queries and products.

    A tab-separated table under a header that names ``query_id`` and ``product_id``, and perhaps
    ``query``, like the competition's own files of nine columns, is streamed and taken literally:
    quotes have no meaning, and extra tabs belong to the query.

    Raises:
        InputError: unreadable, an unknown format, an invalid id, a wrong column count.
    """
    # Opened once: standard input cannot be read again.
    with open_input(path) as stream:
        first = stream.readline(_LONGEST_LINE)
        names = first.removeprefix(BOM).rstrip(b"\r\n").decode(errors="replace").split("\t")
        try:
            layout = headed(names, "\t", "candidates")
        except ValueError:
            layout = None  # whose line says the reason below
        if layout and layout.style == "table" and layout.value is None:
            rows = read_table(_numbered(stream, path), layout, path, "candidates")
            if not len(rows.values):
                raise InputError("no candidates below the header", path=path)
        else:
            rows = parse_rows(first + stream.read(), path, "candidates")
    return CandidateFile(rows.pack()[0], rows.texts)


def _numbered(stream: IO[bytes], path: str | Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(iter(lambda: stream.readline(_LONGEST_LINE), b""), start=2):
        if len(line) == _LONGEST_LINE:
            raise InputError("a line is longer than 64 MiB", path=path, line=number)
        if line.strip():
            yield number, decode(line, path, number).rstrip("\r\n")
