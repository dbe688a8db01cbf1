"""Read click logs: any table with columns of queries, product ids and, optionally, clicks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from shopsight.errors import InputError, pluralise
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


@dataclass(frozen=True)
class ClickPairs:
    """The clicks of a log, and what was left out of it."""

    path: Path
    clicks: list[Click]
    invalid: int = 0
    first_invalid: InputError | None = None

    @property
    def warnings(self) -> list[str]:
        """Notes for the user."""
        if self.first_invalid is None:
            return []
        error = self.first_invalid
        first = str(error).replace(error.path, self.path.name, 1)
        rows = pluralise(self.invalid, "invalid row")
        return [f"{rows} of the click log left out; the first: {first}"]


def read_clicks(path: Path, *, skip_invalid: bool = False) -> ClickPairs:
    """Read a click log; duplicate pairs are summed, pairs without clicks left out.

    Raises:
        InputError: a missing column, or no click; unless ``skip_invalid``, also an empty query or
            id, or clicks that are not a whole number.
    """
    table = open_file(path)
    columns = [match_column(table.names, names) for names in (_QUERIES, _PRODUCTS, _CLICKS)]
    for column, name in zip(columns, ("query", "product_id"), strict=False):
        if not column:
            has = ", ".join(table.names)
            raise InputError(f"no column '{name}' (columns: {has})", path=path, line=1)
    counts: Counter[tuple[str, str]] = Counter()
    invalid, first_invalid = 0, None
    for row in table.rows():
        try:
            query, product_id, count = _parse(row, path, *columns)
        except InputError as error:
            if not skip_invalid:
                raise
            invalid, first_invalid = invalid + 1, first_invalid or error
        else:
            counts[query, product_id] += count
    clicks = [Click(query, product, count) for (query, product), count in counts.items() if count]
    if not clicks:
        rest = f" (the first of {invalid:,} invalid rows: {first_invalid})" if invalid else ""
        raise InputError(f"no click in the log{rest}", path=path)
    return ClickPairs(path, clicks, invalid, first_invalid)


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
