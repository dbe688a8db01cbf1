"""Parse the rows of a score file of any format into (query, product, score).

The format is detected from the content. Rows are validated one by one; duplicates are left to
`shopsight.formats.runs.read_run`, because an audit has to read files that have them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from shopsight.errors import InputError, pluralise
from shopsight.formats.content import JsonObject, is_json, json_by_query, numbered_lines
from shopsight.formats.fields import (
    KNOWN_NAMES,
    find_columns,
    normalised_name,
    parse_id,
    parse_score,
    shortened,
)

_FORMATS = (
    "a TREC run (6 columns), a table of query, product and score, "
    'a submission, or JSON {"query": [["product", score], ...]}'
)


@dataclass
class ScoreRows:
    """N rows in file order; every query, also those without rows; no line numbers for JSON."""

    query_ids: dict[str, None] = field(default_factory=dict)
    queries: list[str] = field(default_factory=list)
    products: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def add(self, query: str, product: str, score: float, line: int | None = None) -> None:
        """Append one row."""
        self.query_ids[query] = None
        self.queries.append(query)
        self.products.append(product)
        self.scores.append(score)
        if line is not None:
            self.lines.append(line)


def parse_score_rows(text: str, path: str | Path) -> ScoreRows:
    """Parse the text of a score file.

    Raises:
        InputError: an unknown format, or a row with an invalid id or score.
    """
    rows = _from_json(text, path) if is_json(text) else _from_lines(text, path)
    if not rows.queries:
        raise InputError("no scores in this file", path=path)
    return rows


def _from_json(text: str, path: str | Path) -> ScoreRows:
    rows = ScoreRows()
    for query, candidates in json_by_query(text, path, _FORMATS):
        rows.query_ids[query] = None
        try:
            for product, score in _json_pairs(candidates):
                rows.add(query, parse_id(product, "product id"), parse_score(score))
        except ValueError as error:
            raise InputError(f"query {query!r}: {error}", path=path) from error
    return rows


def _json_pairs(candidates: Any) -> Sequence[tuple[Any, Any]]:
    if isinstance(candidates, JsonObject):
        return candidates
    if not isinstance(candidates, list):
        raise ValueError(f"{shortened(candidates)} is not a list of [product, score] pairs")
    for number, entry in enumerate(candidates, start=1):
        if not isinstance(entry, list) or isinstance(entry, JsonObject) or len(entry) != 2:
            reason = f"entry {number} is {shortened(entry)}, not a [product, score] pair"
            is_id = isinstance(entry, str | int)
            raise ValueError(f"{reason}{' (this looks like answers, not a run)' * is_id}")
    return candidates


@dataclass(frozen=True)
class _Layout:
    """Line splitter, column count and numbers, and whether the first line is a header."""

    split: Callable[[str], list[str]]
    width: int
    query: int
    product: int
    score: int
    header: bool = False


def _from_lines(text: str, path: str | Path) -> ScoreRows:
    lines = numbered_lines(text)
    start = next(lines)
    split = _splitter(start[1])
    header = split(start[1])
    if _is_submission(header):
        return _from_submission(lines, split, len(header), path)
    layout = _layout(header, split, path, start[0])
    rows = ScoreRows()
    for number, line in lines if layout.header else chain([start], lines):
        fields = layout.split(line)
        if len(fields) != layout.width:
            reason = f"{pluralise(len(fields), 'column')}, where the first line has {layout.width}"
            raise InputError(reason, path=path, line=number)
        _add_row(rows, fields, layout, path, number)
    return rows


def _add_row(
    rows: ScoreRows, fields: list[str], layout: _Layout, path: str | Path, line: int
) -> None:
    column = layout.query
    try:
        query = parse_id(fields[column], "query id")
        column = layout.product
        product = parse_id(fields[column], "product id")
        column = layout.score
        score = parse_score(fields[column])
    except ValueError as error:
        raise InputError(str(error), path=path, line=line, column=column + 1) from error
    rows.add(query, product, score, line)


def _splitter(line: str) -> Callable[[str], list[str]]:
    """Split at tabs, else commas, else blanks, as the first line has them."""
    separator = "\t" if "\t" in line else "," if "," in line else None
    if separator is None:
        return str.split
    # Without the csv module: one stray quote would swallow the following rows.
    return lambda text: [_unquoted(part.strip()) for part in text.split(separator)]


def _unquoted(part: str) -> str:
    return part[1:-1] if len(part) > 1 and part[0] == part[-1] == '"' else part


def _layout(
    fields: list[str], split: Callable[[str], list[str]], path: str | Path, line: int
) -> _Layout:
    width = len(fields)
    columns = find_columns(fields)
    if columns.query_id is not None and columns.product_id is not None:
        if columns.score is None:
            reason = f"the header names no score column; {KNOWN_NAMES}"
            raise InputError(reason, path=path, line=line)
        return _Layout(split, width, columns.query_id, columns.product_id, columns.score, True)
    if width > 2 and all(normalised_name(name).replace("_", "").isalpha() for name in fields):
        reason = f"this looks like a header without names for query and product; {KNOWN_NAMES}"
        raise InputError(reason, path=path, line=line)
    if width == 3:
        return _Layout(split, 3, 0, 1, 2)
    if width == 6:
        return _Layout(split, 6, 0, 2, 4)
    reason = f"{pluralise(width, 'column')}; expected {_FORMATS}"
    if width == 4 and re.fullmatch(r"-?[0-9]+", fields[3]):
        reason = "4 columns; this looks like TREC qrels (answers), not a run"
    raise InputError(reason, path=path, line=line)


def _is_submission(header: Sequence[str]) -> bool:
    first, *products = (normalised_name(name) for name in header)
    numbered = all(re.fullmatch(r"product_?[0-9]+", name) for name in products)
    return first in ("query_id", "qid") and bool(products) and numbered


def _from_submission(
    lines: Iterator[tuple[int, str]],
    split: Callable[[str], list[str]],
    width: int,
    path: str | Path,
) -> ScoreRows:
    """Products by rank: the first of five scores 5, the last 1."""
    rows = ScoreRows()
    layout = _Layout(split, width, 0, 1, 2)
    for number, line in lines:
        query, *products = split(line)
        if len(products) != width - 1:
            reason = f"{pluralise(len(products) + 1, 'column')}, where the header has {width}"
            raise InputError(reason, path=path, line=number)
        if query in rows.query_ids:
            raise InputError(f"duplicate query {query!r}", path=path, line=number)
        for rank, product in enumerate(products):
            _add_row(rows, [query, product, str(len(products) - rank)], layout, path, number)
    return rows
