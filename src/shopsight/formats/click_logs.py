"""Read click logs: any table with columns of queries, product ids and, optionally, clicks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from shopsight.errors import InputError
from shopsight.formats.fields import match_column, parse_count, parse_id, shortened
from shopsight.formats.tables import TableRow, open_file

_QUERIES = ("query", "query_text", "search_term", "search_query", "keywords", "text", "q")
_PRODUCTS = ("product_id", "productid", "product", "id", "item_id", "item", "sku", "asin")
_CLICKS = ("clicks", "click", "count", "n", "times")


@dataclass(frozen=True)
class Click:
    """The clicks (at least 1) on a product for a query, which is its literal text."""

    query: str
    product_id: str
    clicks: int


def read_clicks(path: Path) -> list[Click]:
    """Read a click log; duplicate pairs are summed, pairs without clicks left out.

    Raises:
        InputError: a missing column, an empty query or id, clicks that are not a whole number.
    """
    table = open_file(path)
    columns = [match_column(table.names, names) for names in (_QUERIES, _PRODUCTS, _CLICKS)]
    for column, name in zip(columns, ("query", "product_id"), strict=False):
        if not column:
            has = ", ".join(table.names)
            raise InputError(f"no column '{name}' (columns: {has})", path=path, line=1)
    clicks: Counter[tuple[str, str]] = Counter()
    for row in table.rows():
        query, product_id, count = _parse(row, path, *columns)
        clicks[query, product_id] += count
    if not any(clicks.values()):
        raise InputError("no click in the log", path=path)
    return [Click(query, product, count) for (query, product), count in clicks.items() if count]


def _parse(
    row: TableRow, path: Path, query: str, product: str, clicks: str
) -> tuple[str, str, int]:
    if row.fault:
        raise row.fault
    column = query
    try:
        text = row.values.get(query)
        if not isinstance(text, str) or not text.strip():
            raise ValueError("empty query" if not text else f"query {shortened(text)} is not text")
        column = product
        cell = row.values.get(product)
        product_id = parse_id("" if cell is None else cell, "product id")
        column = clicks
        count = parse_count(row.values.get(clicks), "clicks") if clicks else 1
        return " ".join(text.split()), product_id, count
    except ValueError as error:
        row_number = None if row.line else row.number
        raise InputError(
            str(error), path=path, column=column, line=row.line, row=row_number
        ) from error
