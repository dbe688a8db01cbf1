"""Read rankings, answers and candidates of any format as rows of query, product and value.

Small files and files with an invalid line are read line by line, which finds the place of an
error; large tables are parsed by pyarrow. Duplicates are left to the callers: an audit has to read
files that have them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from shopsight.errors import InputError, pluralise
from shopsight.formats.content import JsonObject, decode_file, is_json, numbered_lines, parse_json
from shopsight.formats.fields import (
    is_number,
    is_whole,
    parse_grade,
    parse_id,
    parse_score,
    shortened,
)
from shopsight.formats.large_tables import parse_table
from shopsight.formats.layouts import (
    EXPECTED,
    SAMPLE,
    Kind,
    Layout,
    clean_cell,
    headed,
    recognise,
    split_line,
    split_pairs,
)
from shopsight.types import FloatArray, IntArray, Pools

log = logging.getLogger("shopsight")
_NOUNS = {"run": "scores", "answers": "answers", "candidates": "candidates"}
_LARGE = 1 << 16  # characters from which loading pyarrow pays
_EXCEL = re.compile(r"\s*\"?sep=.?\"?\s*", re.IGNORECASE)  # names the separator to Excel
_CELL = r"""('[^']*'|"[^"]*"|[^'"\[\](),\s]+)"""
_PAIR = re.compile(rf"[\[(]\s*{_CELL}\s*,\s*{_CELL}\s*[\])]")
_LIST = re.compile(rf"\[(\s*{_PAIR.pattern}\s*,?)*\s*\]")


@dataclass(frozen=True, eq=False)
class Rows:
    """N rows in file order.

    Attributes:
        query_ids: the distinct queries, also those without rows.
        query_idx: (N,) index into ``query_ids``.
        names: the distinct products.
        name_idx: (N,) index into ``names``.
        values: (N,) scores or grades.
        texts: ``{query id: text}`` where the file has texts.
        line: the line of a row; None where the file has no lines.
    """

    query_ids: tuple[str, ...]
    query_idx: IntArray
    names: list[str]
    name_idx: IntArray
    values: FloatArray
    texts: dict[str, str] | None
    line: Callable[[int], int | None]

    def pack(self) -> tuple[Pools, IntArray]:
        """The rows grouped by query, in file order inside a query, and the row of each."""
        order = np.argsort(self.query_idx, kind="stable")
        coded = self.query_idx[order], self.names, self.name_idx[order]
        return Pools.from_codes(self.query_ids, *coded), order

    def check_duplicates(self, path: str | Path) -> None:
        """Raise InputError, with the later line, if a query has a product twice."""
        keys = np.sort(self.query_idx * len(self.names) + self.name_idx)
        if np.all(keys[1:] != keys[:-1]):
            return
        order = np.lexsort((self.name_idx, self.query_idx))
        query, name = self.query_idx[order], self.name_idx[order]
        same = int(np.argmax((query[1:] == query[:-1]) & (name[1:] == name[:-1])))
        first, later = (self.line(int(row)) for row in order[same : same + 2])
        product, query_id = self.names[name[same]], self.query_ids[query[same]]
        reason = f"duplicate product {product!r} for query {query_id!r}"
        reason += f" (first in line {first})" if first != later else ""
        raise InputError(reason, path=path, line=later)


class _Builder:
    """Rows that are added one by one, with values that are parsed as the kind demands."""

    def __init__(self, kind: Kind) -> None:
        self.parse: Callable[[Any], float] = parse_grade if kind == "answers" else parse_score
        self.texts: dict[str, str] = {}
        self._queries: dict[str, int] = {}
        self._names: dict[str, int] = {}
        self._codes: list[tuple[int, int]] = []
        self._values: list[float] = []
        self._lines: list[int | None] = []

    def query(self, value: Any, *, new: bool = False) -> int:
        """The number of a query; raises ValueError for an invalid id, or one that is not new."""
        query = parse_id(value, "query id")
        if new and query in self._queries:
            raise ValueError(f"duplicate query {query!r}")
        return self._queries.setdefault(query, len(self._queries))

    def add(self, query: int, product: Any, value: float, line: int | None = None) -> None:
        name = self._names.setdefault(parse_id(product, "product id"), len(self._names))
        self._codes.append((query, name))
        self._values.append(value)
        self._lines.append(line)

    def rows(self) -> Rows:
        query_idx, name_idx = np.array(self._codes, np.int64).reshape(-1, 2).T
        values, texts = np.array(self._values, np.float64), self.texts or None
        coded = tuple(self._queries), query_idx, list(self._names), name_idx
        return Rows(*coded, values, texts, self._lines.__getitem__)


def parse_rows(data: bytes, path: str | Path, kind: Kind) -> Rows:
    """Parse the content of a file.

    Raises:
        InputError: an unknown or ambiguous format, an invalid id, score or grade, no rows.
    """
    text = decode_file(data, path)
    rows = _from_json(text, path, kind) if is_json(text) else _from_lines(text, path, kind)
    if not (rows.query_ids if kind == "answers" else len(rows.values)):
        raise InputError(f"no {_NOUNS[kind]} in this file", path=path)
    return rows


def _from_lines(text: str, path: str | Path, kind: Kind) -> Rows:
    lines = numbered_lines(text)
    sample = list(islice(lines, SAMPLE))
    skipped = 0
    if _EXCEL.fullmatch(sample[0][1]):
        skipped = sample.pop(0)[0]
        if not sample:
            raise InputError(f"no {_NOUNS[kind]} in this file", path=path)
    layout = recognise(sample, kind, path)
    if len(text) >= _LARGE and layout.style == "table":
        first = sample[0][0] if layout.header else skipped
        columns = parse_table(text, layout, first)
        # A grade that is not whole is an error, with its place.
        if columns and (kind != "answers" or np.array_equal(columns[-1] % 1, 0 * columns[-1])):
            before = layout.header + bool(skipped)
            rows = Rows(*columns, None, lambda row: _nth_line(text, row + before))
            return _ranked(rows, layout, path, kind)
    lines = chain(sample[layout.header :], lines)
    if layout.style == "wide":
        return _read_wide(lines, layout, path, kind)
    if layout.style == "pairs":
        return _read_pairs(lines, path, kind)
    return _ranked(read_table(lines, layout, path, kind), layout, path, kind)


def _nth_line(text: str, row: int) -> int:
    return next(islice(numbered_lines(text), row, None))[0]


def read_table(
    lines: Iterable[tuple[int, str]], layout: Layout, path: str | Path, kind: Kind
) -> Rows:
    """Read numbered lines that hold one product each, without the header.

    Raises:
        InputError: a wrong number of columns, or an invalid cell.
    """
    builder = _Builder(kind)
    for number, line in lines:
        cells = _cells(line, layout, path, number)
        column = layout.query
        try:
            query = builder.query(clean_cell(cells[column]))
            column, value = layout.product, 1.0
            product = parse_id(clean_cell(cells[column]), "product id")
            if layout.value is not None:
                column = layout.value
                value = builder.parse(clean_cell(cells[column]))
        except ValueError as error:
            raise InputError(str(error), path=path, line=number, column=column + 1) from error
        builder.add(query, product, -value if layout.ranks else value, number)
        if layout.text is not None:
            builder.texts.setdefault(clean_cell(cells[layout.query]), cells[layout.text])
    return builder.rows()


def _cells(line: str, layout: Layout, path: str | Path, number: int) -> list[str]:
    cells = split_line(line, layout.separator)
    extra = len(cells) - layout.width
    if extra > 0 and layout.text is not None and layout.separator == "\t":
        # Tab-separated files are taken literally: further tabs belong to the query.
        end = layout.text + extra + 1
        cells[layout.text : end] = ["\t".join(cells[layout.text : end])]
    elif extra:
        other = "the header has" if layout.header else "other lines have"
        reason = f"{pluralise(len(cells), 'column')}, where {other} {layout.width}"
        raise InputError(reason, path=path, line=number)
    return cells


def _read_wide(
    lines: Iterable[tuple[int, str]], layout: Layout, path: str | Path, kind: Kind
) -> Rows:
    """Products by place: of five, the first scores 5 and the last 1; answers have grade 1."""
    builder = _Builder(kind)
    for number, line in lines:
        cells = [clean_cell(cell) for cell in split_line(line, layout.separator)]
        products = cells[: layout.query] + cells[layout.query + 1 :]
        if layout.header and (
            len(cells) > layout.width or (kind == "run" and len(cells) < layout.width)
        ):
            reason = f"{pluralise(len(cells), 'column')}, where the header has {layout.width}"
            raise InputError(reason, path=path, line=number)
        # A spreadsheet fills short rows with empty cells.
        while products and not products[-1] and not (layout.header and kind == "run"):
            products.pop()
        column = layout.query
        try:
            query = builder.query(cells[layout.query], new=True)
            for column, product in enumerate(products, 1):
                place = len(products) - column + 1.0
                builder.add(query, product, 1.0 if kind == "answers" else place, number)
        except ValueError as error:
            raise InputError(str(error), path=path, line=number, column=column + 1) from error
    return builder.rows()


def _read_pairs(lines: Iterable[tuple[int, str]], path: str | Path, kind: Kind) -> Rows:
    """Lines of a query and a list of pairs, as Python prints them: ``q,[[0.5, 'p'], ...]``."""
    found: list[tuple[int, str, list[tuple[Any, Any]]]] = []
    for number, line in lines:
        parts = split_pairs(line)
        if parts is None or not _LIST.fullmatch(parts[1]):
            reason = "not a query with a list of pairs: q,[[score, 'product'], ...]"
            raise InputError(reason, path=path, line=number)
        pairs = [(_literal(a), _literal(b)) for a, b in _PAIR.findall(parts[1])]
        found.append((number, parts[0], pairs))
    if kind == "answers":
        reason = "lists of [score, product] pairs: this looks like a run, not answers"
        raise InputError(reason, path=path, line=found[0][0])
    builder = _Builder(kind)
    swap = _scores_first([pairs for _, _, pairs in found], default=True)
    for number, query_id, pairs in found:
        try:
            query = builder.query(query_id, new=True)
            for product, score in (pair[::-1] if swap else pair for pair in pairs):
                builder.add(query, product, parse_score(score), number)
        except ValueError as error:
            raise InputError(str(error), path=path, line=number) from error
    return builder.rows()


def _literal(cell: str) -> Any:
    """The value of a cell in a list that Python printed."""
    if cell[0] in "'\"":
        return cell[1:-1]
    return int(cell) if cell.isdecimal() else float(cell) if is_number(cell) else cell


def _scores_first(lists: Iterable[Iterable[Any]], *, default: bool) -> bool:
    """Whether pairs are [score, product], by what each side holds in the whole file."""
    pairs = [pair for pairs in lists for pair in pairs]

    def evidence(position: int) -> tuple[bool, bool, bool]:
        cells = [pair[position] for pair in pairs]
        numbers = all(is_number(str(cell)) for cell in cells)
        quoted = any(isinstance(cell, str) for cell in cells)
        return numbers, not quoted, numbers and not all(is_whole(str(cell)) for cell in cells)

    first, second = evidence(0), evidence(1)
    return first > second if first != second else default


def _ranked(rows: Rows, layout: Layout, path: str | Path, kind: Kind) -> Rows:
    """The rows, with ranks turned into scores if a third column without a name holds ranks.

    Raises:
        InputError: the column could hold ranks or scores.
    """
    if kind == "candidates" or layout.header or (layout.width, layout.value) != (3, 2):
        return rows
    sizes = np.bincount(rows.query_idx)[rows.query_idx]
    several = np.flatnonzero(sizes > 1)
    query, values, longest = rows.query_idx[several], rows.values[several], sizes.max(initial=0)
    order = np.argsort(query, kind="stable")
    starts = np.searchsorted(query[order], query[order])
    places = np.arange(len(several)) - starts + 1.0
    in_order = np.array_equal(values[order], places)
    ascending = values[np.lexsort((values, query))]
    counts = np.array_equal(ascending, places) or (
        longest > 2 and np.array_equal(ascending, places - 1)
    )
    if not len(several) or not counts or (kind == "answers" and not (in_order and longest > 4)):
        return rows
    if kind == "run" and in_order and longest > 2:
        log.warning("%s: the third column counts 1, 2, 3, ... and is read as ranks", path)
        return replace(rows, values=-rows.values)
    noun = "scores" if kind == "run" else "grades"
    reason = f"the third column counts to the number of products: {noun}, or ranks?"
    remedy = f"say so in a header line, query_id,product_id,{noun[:-1]} or query_id,product_id,rank"
    raise InputError(f"{reason} {remedy}", path=path)


def _from_json(text: str, path: str | Path, kind: Kind) -> Rows:
    builder = _Builder(kind)
    lists: list[tuple[int | None, int, str, bool, Sequence[Any]]] = []
    for line, entries in _json_objects(text, path, kind):
        query_id = ""
        try:
            if layout := _record(entries, kind):
                _add_record(builder, [cell for _, cell in entries], layout, line)
                continue
            for key, products in entries:
                query_id = ""
                query, query_id = builder.query(key, new=True), f"query {key!r}: "
                lists.append((line, query, query_id, *_json_pairs(products, kind)))
        except ValueError as error:
            raise InputError(f"{query_id}{error}", path=path, line=line) from error
    swap = _scores_first((pairs for *_, paired, pairs in lists if paired), default=False)
    for line, query, query_id, paired, pairs in lists:
        try:
            for pair in pairs:
                product, value = pair[::-1] if swap and paired else pair
                builder.add(query, product, builder.parse(value), line)
        except ValueError as error:
            raise InputError(f"{query_id}{error}", path=path, line=line) from error
    return builder.rows()


def _json_objects(text: str, path: str | Path, kind: Kind) -> list[tuple[int | None, JsonObject]]:
    """The object of a file, or those of its lines or of its list of records."""
    values: list[tuple[int | None, Any]]
    begins = [line.strip() for _, line in islice(numbered_lines(text), 2)]
    if len(begins) == 2 and all(line[0] == "{" and line[-1] == "}" for line in begins):
        values = [(number, parse_json(line, path, number)) for number, line in numbered_lines(text)]
    else:
        content = parse_json(text, path)
        if isinstance(content, JsonObject):
            return [(None, content)]
        values = [(None, value) for value in content]
        if not values or not all(isinstance(v, JsonObject) and _record(v, kind) for _, v in values):
            raise InputError(f"a JSON list; expected {EXPECTED[kind]}", path=path)
    for number, value in values:
        if not isinstance(value, JsonObject):
            raise InputError("not a JSON object", path=path, line=number)
    return values


def _record(entries: JsonObject, kind: Kind) -> Layout | None:
    """The layout of an object that is one row, by its keys; None for an object of queries."""
    if any(isinstance(value, list) for _, value in entries):
        return None
    return _record_layout(tuple(key for key, _ in entries), kind)


@lru_cache
def _record_layout(names: tuple[str, ...], kind: Kind) -> Layout | None:
    layout = headed(list(names), None, kind)
    return layout if layout and layout.style == "table" else None


def _add_record(builder: _Builder, cells: list[Any], layout: Layout, line: int | None) -> None:
    value = 1.0 if layout.value is None else builder.parse(cells[layout.value])
    query = builder.query(cells[layout.query])
    builder.add(query, cells[layout.product], -value if layout.ranks else value, line)


def _json_pairs(products: Any, kind: Kind) -> tuple[bool, Sequence[Any]]:
    """(product, value) pairs of a query, and whether the file wrote them as pairs."""
    if isinstance(products, JsonObject):
        return False, products
    noun = "product ids" if kind == "answers" else "[product, score] pairs"
    if not isinstance(products, list):
        raise ValueError(f"{shortened(products)} is not a list of {noun}")
    for number, entry in enumerate(products, 1):
        if kind == "answers" and isinstance(entry, list):
            reason = "is not a product id (this looks like a run, not answers)"
            raise ValueError(f"{shortened(entry)} {reason}")
        is_pair = isinstance(entry, list) and not isinstance(entry, JsonObject) and len(entry) == 2
        if kind == "run" and not is_pair:
            reason = f"entry {number} is {shortened(entry)}, not a [product, score] pair"
            is_id = isinstance(entry, str | int)
            raise ValueError(f"{reason}{' (this looks like answers, not a run)' * is_id}")
    if any(isinstance(entry, list) for entry in products):
        return True, products
    return False, [(product, 1) for product in products]
