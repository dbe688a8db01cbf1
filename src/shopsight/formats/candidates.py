"""Read candidate pools, duplicates and query texts included."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO

from shopsight.errors import InputError, pluralise
from shopsight.formats.content import BOM, decode_file, open_input
from shopsight.formats.fields import Columns, find_columns, parse_id
from shopsight.formats.runs import pack_rows
from shopsight.formats.score_rows import ScoreRows, parse_score_rows
from shopsight.types import Pools

# A row with the features of a hundred regions takes 1 MB; nothing honest is near this.
_LONGEST_LINE = 64 << 20


@dataclass(frozen=True, eq=False)
class CandidateFile:
    """Pools, which may hold a product twice, and ``{query id: text}`` if the file has texts."""

    pools: Pools
    texts: dict[str, str] | None


def read_candidates(path: str | Path) -> CandidateFile:
    """Read candidates from a score file of any format, or from a table of queries and products.

    Such a table is tab-separated under a header that names ``query_id`` and ``product_id``, and
    perhaps ``query``, like the competition's own files of nine columns. It is streamed and taken
    literally: quotes have no meaning, and extra tabs belong to the query.

    Raises:
        InputError: unreadable, an unknown format, an invalid id, a wrong column count.
    """
    # Opened once: standard input cannot be read again.
    with open_input(path) as stream:
        first = stream.readline(_LONGEST_LINE)
        names = first.removeprefix(BOM).rstrip(b"\r\n").decode(errors="replace").split("\t")
        columns = find_columns(names)
        if columns.query_id is None or columns.product_id is None or columns.score is not None:
            text = decode_file(first + stream.read(), path)
            return CandidateFile(pack_rows(parse_score_rows(text, path))[0], None)
        return _read_table(stream, columns, len(names), path)


def _read_table(stream: IO[bytes], columns: Columns, width: int, path: str | Path) -> CandidateFile:
    assert columns.query_id is not None
    assert columns.product_id is not None
    rows = ScoreRows()
    texts: dict[str, str] = {}
    for number, line in enumerate(iter(lambda: stream.readline(_LONGEST_LINE), b""), start=2):
        if not line.strip():
            continue
        fields = _split(line, columns.query_text, width, path, number)
        try:
            query = parse_id(fields[columns.query_id].decode(), "query id")
            product = parse_id(fields[columns.product_id].decode(), "product id")
            if columns.query_text is not None:
                texts.setdefault(query, fields[columns.query_text].decode())
        except UnicodeDecodeError as error:
            raise InputError("not UTF-8 text", path=path, line=number) from error
        except ValueError as error:
            raise InputError(str(error), path=path, line=number) from error
        rows.add(query, product, 0.0, number)
    if not rows.queries:
        raise InputError("no candidates below the header", path=path)
    return CandidateFile(pack_rows(rows)[0], texts if columns.query_text is not None else None)


def _split(
    line: bytes, text_column: int | None, width: int, path: str | Path, number: int
) -> list[bytes]:
    fields = line.rstrip(b"\r\n").split(b"\t")
    extra = len(fields) - width
    if extra < 0 or (extra and text_column is None):
        reason = f"{pluralise(len(fields), 'column')}, where the header has {width}"
        raise InputError(reason, path=path, line=number)
    if extra and text_column is not None:
        end = text_column + extra + 1
        fields[text_column:end] = [b"\t".join(fields[text_column:end])]
    return fields
