"""Read rows from JSON, from Parquet, and from lists that Python or numpy printed into lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from shopsight.errors import InputError
from shopsight.formats.content import JsonObject, numbered_lines, parse_json
from shopsight.formats.fields import KNOWN_NAMES, find_columns, is_number, is_whole, shortened
from shopsight.formats.layouts import EXPECTED, SAMPLE, Kind, Layout, headed, reject_answers
from shopsight.formats.rows import NOUNS, Listed, RowBuilder, Rows

_TOKEN = re.compile(r"""'[^']*'|"[^"]*"|[\[\](),]|[^'"\[\](),\s]+|['"]""")
_OPEN, _CLOSE = ("[", "("), ("]", ")")


def read_json(text: str, path: str | Path, kind: Kind) -> Rows:
    """Read an object of queries, or records in JSON lines or in a list."""
    builder = RowBuilder(kind)
    lists: list[Listed] = []
    for line, entries in _json_objects(text, path, kind):
        query_id = ""
        try:
            if layout := _record(entries, kind):
                _add_record(builder, [cell for _, cell in entries], layout, line)
                continue
            for key, products in _listed_record(entries, kind) or entries:
                query_id = ""
                query, query_id = builder.query(key, new=True), f"query {key!r}: "
                lists.append((line, query, query_id, *json_pairs(products, kind)))
        except ValueError as error:
            raise InputError(f"{query_id}{error}", path=path, line=line) from error
    return add_lists(builder, lists, path, scores_first=False)


def read_parquet(data: bytes, path: str | Path, kind: Kind) -> Rows:
    """Read a Parquet file with named columns. Raises InputError for an invalid file or row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"not readable as Parquet ({error})", path=path) from error
    try:
        layout = column_layout(table.column_names, table.slice(0, SAMPLE).to_pylist(), kind)
    except ValueError as error:
        raise InputError(str(error), path=path) from error
    builder = RowBuilder(kind)
    for number, cells in enumerate(zip(*(c.to_pylist() for c in table.columns), strict=True), 1):
        try:
            _add_record(builder, cells, layout, None)
        except ValueError as error:
            raise InputError(str(error), path=path, row=number) from error
    return builder.rows()


def column_layout(names: Sequence[str], rows: Iterable[Mapping[str, Any]], kind: Kind) -> Layout:
    """The layout of columns with names, by those and the first rows.

    Raises:
        ValueError: no columns of queries, products and values.
    """
    lines = [(i, "\t".join(str(row[name]) for name in names)) for i, row in enumerate(rows)]
    layout = headed(list(names), "\t", kind, lines)
    if layout is None or layout.style != "table":
        raise ValueError(f"no columns of queries, products and {NOUNS[kind]}; {KNOWN_NAMES}")
    return layout


def add_lists(
    builder: RowBuilder, lists: Sequence[Listed], path: str | Path, *, scores_first: bool
) -> Rows:
    """Add the lists of all queries, in which each pair is (score, product) or the reverse.

    Raises:
        InputError: an invalid id, score or grade.
    """
    swap = _scores_first((pairs for *_, paired, pairs in lists if paired), default=scores_first)
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


def _listed_record(entries: JsonObject, kind: Kind) -> list[tuple[Any, Any]] | None:
    """The query and the list of an object such as ``{"query_id": "q", "results": [...]}``."""
    columns = find_columns([key for key, _ in entries])
    lists = [entry for entry in entries if isinstance(entry[1], list)]
    if columns is None or columns.query_id is None or len(lists) != 1:
        return None
    query, (name, items) = entries[columns.query_id][1], lists[0]
    if isinstance(query, list):
        return None
    if kind == "run" and not any(isinstance(item, list) for item in items):
        reject_answers(name)
        items = by_place(items)
    return [(query, items)]


def by_place(products: Sequence[Any]) -> JsonObject:
    """Products, best first, with scores: of five, the first has 5 and the last 1."""
    return JsonObject((product, len(products) - i) for i, product in enumerate(products))


@lru_cache
def _record_layout(names: tuple[str, ...], kind: Kind) -> Layout | None:
    layout = headed(list(names), None, kind)
    return layout if layout and layout.style == "table" else None


def _add_record(
    builder: RowBuilder, cells: Sequence[Any], layout: Layout, line: int | None
) -> None:
    value = 1.0 if layout.value is None else builder.parse(cells[layout.value])
    query = builder.query(cells[layout.query])
    builder.add(query, cells[layout.product], -value if layout.ranks else value, line)


def json_pairs(products: Any, kind: Kind) -> tuple[bool, Sequence[Any]]:
    """(product, value) pairs of a query, and whether the file wrote them as pairs."""
    if isinstance(products, JsonObject):
        return False, products
    noun = "product ids" if kind == "answers" else "[product, score] pairs"
    if not isinstance(products, list):
        raise ValueError(f"{shortened(products)} is not a list of {noun}")
    if products and all(isinstance(entry, JsonObject) for entry in products):
        return False, [_json_pair(entry, kind) for entry in products]
    paired = any(isinstance(entry, list) for entry in products)
    for number, entry in enumerate(products, 1):
        if kind == "answers" and isinstance(entry, list):
            reason = "is not a product id (this looks like a run, not answers)"
            raise ValueError(f"{shortened(entry)} {reason}")
        is_pair = isinstance(entry, list) and not isinstance(entry, JsonObject) and len(entry) == 2
        if (paired or kind == "run") and not is_pair:
            reason = f"entry {number} is {shortened(entry)}, not a [product, score] pair"
            is_id = isinstance(entry, str | int) and not paired
            raise ValueError(f"{reason}{' (this looks like answers, not a run)' * is_id}")
    return paired, products if paired else [(product, 1) for product in products]


def _json_pair(entry: JsonObject, kind: Kind) -> tuple[Any, Any]:
    """Product and value of an object such as ``{"product_id": "p", "score": 0.5}``."""
    columns = find_columns([key for key, _ in entry])
    found = columns and (columns.grades if kind == "answers" else columns.scores)
    if not columns or columns.product_id is None or not found:
        raise ValueError(f"{shortened(dict(entry))} names no product and {NOUNS[kind][:-1]}")
    return entry[columns.product_id][1], entry[found[0]][1]


def parse_list(text: str) -> list[Any] | None:
    """A list of values, or of lists of values, as Python or numpy prints it; None for other text.

    >>> parse_list("[[0.5, 'a'], (np.float64(2.0), 'b')]"), parse_list("['a' 7]"), parse_list("[1")
    ([[0.5, 'a'], [2.0, 'b']], ['a', 7], None)
    """
    text = re.sub(r"np\.\w+\(([^()\[\]]*)\)", r"\1", text.strip())
    tokens = _TOKEN.findall(text)
    if len(tokens) < 2 or tokens[0] not in _OPEN or tokens[-1] not in _CLOSE:
        return None
    items: list[Any] = []
    group: list[Any] | None = None
    for token in tokens[1:-1]:
        if (token in _OPEN and group is not None) or (token in _CLOSE and group is None):
            return None
        if token in _OPEN:
            group = []
        elif token in _CLOSE:
            items.append(group)
            group = None
        elif token != ",":
            (items if group is None else group).append(_literal(token))
    return items if group is None else None


def _literal(cell: str) -> Any:
    """The value of a token in a list that Python printed."""
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
