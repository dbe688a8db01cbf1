"""Read rankings, answers and candidates of any format as rows of query, product and value.

Small files and files with an invalid line are read line by line, which finds the place of an
error; large tables are parsed by pyarrow. Duplicates are left to the callers: an audit has to read
files that have them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, islice, pairwise
from pathlib import Path

import numpy as np

from shopsight.errors import InputError, pluralise
from shopsight.formats.content import decode_file, is_json, numbered_lines
from shopsight.formats.fields import is_number, is_whole, parse_id
from shopsight.formats.json_rows import (
    add_lists,
    by_place,
    json_pairs,
    parse_list,
    read_json,
    read_parquet,
)
from shopsight.formats.large_tables import parse_table
from shopsight.formats.layouts import (
    SAMPLE,
    Kind,
    Layout,
    clean_cell,
    recognise,
    split_line,
    split_list,
    split_words,
)
from shopsight.formats.rows import NOUNS, Listed, RowBuilder, Rows

log = logging.getLogger("shopsight")
_LARGE = 1 << 16  # characters from which loading pyarrow pays
_EXCEL = re.compile(r"\s*\"?sep=.?\"?\s*", re.IGNORECASE)  # names the separator to Excel
_COLON = re.compile(r"(\s*[^\s:,;\[]+):(?=\s)")  # after a query


def parse_rows(data: bytes, path: str | Path, kind: Kind) -> Rows:
    """Parse the content of a file.

    Raises:
        InputError: an unknown or ambiguous format, an invalid id, score or grade, no rows.
    """
    if data[:4] == b"PAR1":
        rows = read_parquet(data, path, kind)
    else:
        text = decode_file(data, path)
        rows = read_json(text, path, kind) if is_json(text) else _from_lines(text, path, kind)
    if not (rows.query_ids if kind == "answers" else len(rows.values)):
        raise InputError(f"no {NOUNS[kind]} in this file", path=path)
    return rows


def _from_lines(text: str, path: str | Path, kind: Kind) -> Rows:
    lines = numbered_lines(text)
    sample = list(islice(lines, SAMPLE))
    skipped = 0
    if _EXCEL.fullmatch(sample[0][1]):
        skipped = sample.pop(0)[0]
        if not sample:
            raise InputError(f"no {NOUNS[kind]} in this file", path=path)
    layout = recognise(sample, kind, path)
    if kind == "run" and layout.tag:
        _check_ranks(sample, layout, path)
    if len(text) >= _LARGE and layout.style == "table":
        first = sample[0][0] if layout.header else skipped
        columns = parse_table(text, layout, first)
        # A grade that is not whole is an error, with its place.
        if columns and (kind != "answers" or np.array_equal(columns[-1] % 1, 0 * columns[-1])):
            before = layout.header + bool(skipped)
            rows = Rows(*columns, None, lambda row: _nth_line(text, row + before))
            return _ranked(rows, layout, path, kind)
    lines = chain(sample[layout.header :], lines)
    if layout.value is None and all(_COLON.match(line) for _, line in sample):
        lines = ((number, _COLON.sub(r"\1 ", line)) for number, line in lines)
    if layout.style == "wide":
        return _read_wide(lines, layout, path, kind)
    if layout.style == "lists":
        return _read_lists(lines, layout, path, kind)
    return _ranked(read_table(lines, layout, path, kind), layout, path, kind)


def _check_ranks(lines: Iterable[tuple[int, str]], layout: Layout, path: str | Path) -> None:
    """Warn if the scores of a TREC run contradict its ranks, which evaluation does not look at."""
    ranked: dict[str, list[tuple[float, float]]] = {}
    for _, line in lines:
        cells = split_line(line, layout.separator)
        if len(cells) > 4 and is_whole(cells[3]) and is_number(cells[4]):
            ranked.setdefault(cells[0], []).append((float(cells[3]), float(cells[4])))
    pairs = [pair for query in ranked.values() for pair in pairwise(sorted(query))]
    steps = {np.sign(later[1] - earlier[1]) for earlier, later in pairs if later[0] > earlier[0]}
    if steps == {1.0}:
        log.warning("%s: the best rank has the lowest score; negate distances", path)
    if steps == {0.0}:
        log.warning("%s: all scores are equal; ties are ordered by product id, not by rank", path)


def _nth_line(text: str, row: int) -> int:
    return next(islice(numbered_lines(text), row, None))[0]


def read_table(
    lines: Iterable[tuple[int, str]], layout: Layout, path: str | Path, kind: Kind
) -> Rows:
    """Read numbered lines that hold one product each, without the header.

    Raises:
        InputError: a wrong number of columns, or an invalid cell.
    """
    builder = RowBuilder(kind)
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
    elif extra and not (layout.tag and len(cells) > 4):
        other = "the header has" if layout.header else "other lines have"
        reason = f"{pluralise(len(cells), 'column')}, where {other} {layout.width}"
        raise InputError(reason, path=path, line=number)
    return cells


def _read_wide(
    lines: Iterable[tuple[int, str]], layout: Layout, path: str | Path, kind: Kind
) -> Rows:
    """Products by place: of five, the first scores 5 and the last 1; answers have grade 1."""
    builder = RowBuilder(kind)
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


def _read_lists(
    lines: Iterable[tuple[int, str]], layout: Layout, path: str | Path, kind: Kind
) -> Rows:
    """Lines of a query and a list, as Python prints it: ``q,[[0.5, 'p'], ...]``, ``q,['p', ...]``.

    Under a header, the list may also be words without brackets.
    """
    builder = RowBuilder(kind)
    lists: list[Listed] = []
    for number, line in lines:
        try:
            query_id, text = _list_cells(line, layout)
            items = parse_list(text) if text[:1] in ("[", "(") else split_words(text)
            if items is None:
                raise ValueError("not a query with a list: q,[[score, 'product'], ...]")
            query = builder.query(query_id, new=True)
            if kind == "run" and not any(isinstance(item, list) for item in items):
                items = by_place(items)
            lists.append((number, query, "", *json_pairs(items, kind)))
        except ValueError as error:
            raise InputError(str(error), path=path, line=number) from error
    return add_lists(builder, lists, path, scores_first=True)


def _list_cells(line: str, layout: Layout) -> tuple[str, str]:
    if layout.header:
        cells = split_line(line, layout.separator)
        if len(cells) == layout.width:
            return clean_cell(cells[layout.query]), clean_cell(cells[layout.product])
    # A list that is not in quotes has the separator of the columns inside it.
    parts = split_list(line) if not layout.header or layout.width == 2 else None
    if parts is None:
        raise ValueError("not a query with a list: q,[[score, 'product'], ...]")
    return parts


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
    if kind == "run" and in_order:
        log.warning("%s: the third column counts 1, 2, 3, ... and is read as ranks", path)
        return replace(rows, values=-rows.values)
    noun = "scores" if kind == "run" else "grades"
    reason = f"the third column counts to the number of products: {noun}, or ranks?"
    remedy = f"say so in a header line, query_id,product_id,{noun[:-1]} or query_id,product_id,rank"
    raise InputError(f"{reason} {remedy}", path=path)
