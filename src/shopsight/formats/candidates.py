"""Candidate pools as they stand in a file, repeated products and query texts included."""

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
    """What a file says about candidates.

    Attributes:
        pools: the candidates, row by row; a product may stand twice in one pool.
        texts: ``{query id: text}`` where the file has the queries' texts.
    """

    pools: Pools
    texts: dict[str, str] | None


def read_candidates(path: str | Path) -> CandidateFile:
    """Read candidates from a score file of any shape, or from a table of queries and products.

    Such a table is tab-separated under a header that names ``query_id`` and ``product_id``, and
    perhaps ``query``: the competition's own files of nine columns are. It is streamed and taken
    literally: quotes mean nothing, and extra tabs belong to the query.

    Raises:
        InputError: unreadable, of no known shape, a bad id, a wrong column count.
    """
    with open_input(path) as stream:  # once: standard input cannot be read again
        first = stream.readline(_LONGEST_LINE)
        header = _table_header(first)
        if header is not None:
            return _read_table(stream, header, path)
        text = decode_file(first + stream.read(), path)
    pools, _ = pack_rows(parse_score_rows(text, path))
    return CandidateFile(pools, None)


def _table_header(line: bytes) -> list[str] | None:
    """The names in the first line, if it heads a table of candidates without scores."""
    names = line.removeprefix(BOM).rstrip(b"\r\n").decode(errors="replace").split("\t")
    columns = find_columns(names)
    if columns.query_id is None or columns.product_id is None or columns.score is not None:
        return None
    return names


def _read_table(stream: IO[bytes], header: list[str], path: str | Path) -> CandidateFile:
    columns = find_columns(header)
    rows = ScoreRows()
    texts: dict[str, str] = {}
    for number, line in enumerate(iter(lambda: stream.readline(_LONGEST_LINE), b""), start=2):
        if line.strip():
            _add_row(rows, texts, line.rstrip(b"\r\n"), columns, len(header), path, number)
    if not rows.queries:
        raise InputError("no candidates below the header", path=path)
    pools, _ = pack_rows(rows)
    return CandidateFile(pools, texts if columns.query_text is not None else None)


def _add_row(
    rows: ScoreRows,
    texts: dict[str, str],
    line: bytes,
    columns: Columns,
    width: int,
    path: str | Path,
    number: int,
) -> None:
    fields = line.split(b"\t")
    extra = len(fields) - width
    at = columns.query_text
    if extra < 0 or (extra and at is None):
        reason = f"{pluralise(len(fields), 'column')}, where the header has {width}"
        raise InputError(reason, path=path, line=number)
    if extra and at is not None:
        fields[at : at + extra + 1] = [b"\t".join(fields[at : at + extra + 1])]
    assert columns.query_id is not None
    assert columns.product_id is not None
    try:
        query = parse_id(fields[columns.query_id].decode(), "query id")
        product = parse_id(fields[columns.product_id].decode(), "product id")
        if at is not None:
            texts.setdefault(query, fields[at].decode())
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", path=path, line=number) from error
    except ValueError as error:
        raise InputError(str(error), path=path, line=number) from error
    rows.add(query, product, 0.0, number)
