"""A log of clicks: query, product id and, perhaps, how many clicks; any table with such columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shopsight.errors import InputError
from shopsight.formats.fields import normalised_name, parse_id, shortened
from shopsight.formats.tables import Table, TableRow, open_file

_QUERIES = ("query", "query_text", "search_term", "search_query", "keywords", "text", "q")
_PRODUCTS = ("product_id", "productid", "product", "id", "item_id", "item", "sku", "asin")
_CLICKS = ("clicks", "click", "count", "n", "times")


@dataclass(frozen=True)
class Click:
    """A query and a product that was clicked for it.

    Attributes:
        query: the query's literal text.
        product_id: the product.
        clicks: how often.
    """

    query: str
    product_id: str
    clicks: int


def read_clicks(path: Path) -> list[Click]:
    """Read a log; the clicks of a pair that stands twice are added up, pairs without any left out.

    Raises:
        InputError: no such columns, an empty query or id, clicks that are no whole number.
    """
    table = open_file(path)
    columns = [_column(table, known) for known in (_QUERIES, _PRODUCTS)]
    missing = [
        what for what, name in zip(("query", "product_id"), columns, strict=True) if not name
    ]
    if missing:
        has = ", ".join(table.names)
        raise InputError(f"no column '{missing[0]}' (columns: {has})", path=path, line=1)
    clicks = _column(table, _CLICKS)
    found: dict[tuple[str, str], int] = {}
    for row in table.rows():
        query, product, count = _click(row, path, columns[0], columns[1], clicks)
        found[query, product] = found.get((query, product), 0) + count
    kept = [Click(query, product, count) for (query, product), count in found.items() if count]
    if not kept:
        raise InputError("no click in the log", path=path)
    return kept


def _column(table: Table, known: tuple[str, ...]) -> str:
    by_name = {normalised_name(name): name for name in reversed(table.names)}
    return next((by_name[name] for name in known if name in by_name), "")


def _click(
    row: TableRow, path: Path, query: str, product: str, clicks: str
) -> tuple[str, str, int]:
    if row.fault:
        raise row.fault
    column = query
    try:
        text = row.values.get(query)
        if not isinstance(text, str) or not text.strip():
            raise ValueError("empty query" if not text else f"query {shortened(text)} is no text")
        column = product
        identifier = parse_id(row.values.get(product) or "", "product id")
        column = clicks
        return " ".join(text.split()), identifier, _count(row.values.get(clicks)) if clicks else 1
    except ValueError as error:
        place: dict[str, Any] = {"line": row.line} if row.line else {"row": row.number}
        raise InputError(str(error), path=path, column=column, **place) from error


def _count(value: Any) -> int:
    if isinstance(value, str) and value.strip().isdecimal() and len(value) <= 12:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"clicks {shortened(value)} is not a whole number")
