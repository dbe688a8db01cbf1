"""Read relevance judgements: the competition's answer files, TREC qrels, and tables."""

from __future__ import annotations

from pathlib import Path

from shopsight.formats.content import read_bytes
from shopsight.formats.row_reader import parse_rows
from shopsight.types import Qrels


def read_qrels(path: str | Path) -> Qrels:
    """Read judgements; the format is detected from the content, and "-" is standard input.

    Formats: JSON ``{"q": [ids]}`` or ``{"q": {"p": grade}}``; TREC qrels of four columns; query,
    product and grade in three columns or under a header that names them (BEIR); a query with its
    relevant products in each line; records in JSON. Any of them compressed.

    Raises:
        InputError: unreadable, another format, an invalid id or grade, a duplicate.
    """
    rows = parse_rows(read_bytes(path), path, "answers")
    rows.check_duplicates(path)
    relevance: dict[str, dict[str, int]] = {query: {} for query in rows.query_ids}
    columns = rows.query_idx, rows.name_idx, rows.values.astype(int)
    for query, name, grade in zip(*(column.tolist() for column in columns), strict=True):
        relevance[rows.query_ids[query]][rows.names[name]] = grade
    return Qrels(relevance)
