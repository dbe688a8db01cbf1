"""The products' other columns as a typed table, and what was made of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from shopsight.errors import pluralise
from shopsight.formats.column_types import TypedColumn, arrow_array, as_written, read_column
from shopsight.formats.fields import shortened


@dataclass(frozen=True, eq=False)
class Fields:
    """The fields of P products.

    ``written`` has the cells of all columns that are not text as they were written, for indexes
    that hold such a column as text. ``report`` says what each column of the source became.
    """

    table: pa.Table
    written: pa.Table
    report: dict[str, str]


def typed_fields(
    rows: Sequence[dict[str, Any]], names: Sequence[str], places: Sequence[str]
) -> Fields:
    """The columns ``names`` of P rows with their types; columns without any value are left out.

    ``places`` (P,) say where a row is, such as "line 17".

    >>> fields = typed_fields([{"price": "$2.5", "code": "007"}, {"price": "$3"}],
    ...     ["price", "code"], ["line 2", "line 3"])
    >>> fields.table.to_pylist()[0]
    {'price': 2.5, 'price_currency': '$', 'code': '007'}
    >>> fields.report
    {'price': 'number, with its currency in price_currency', 'code': 'text'}
    """
    table: dict[str, pa.Array] = {}
    written: dict[str, pa.Array] = {}
    report = {}
    for name in names:
        cells = [row.get(name) for row in rows]
        if all(cell is None for cell in cells):
            report[name] = "left out: no cell has a value that a field can hold"
            continue
        column = read_column(cells)
        table[name] = arrow_array(column)
        if column.kind != "text":
            written[name] = pa.array(map(as_written, cells), pa.string())
        report[name] = _description(column, places)
        if column.currencies:
            currency = free_name(f"{name}_currency", names)
            table[currency] = pa.array(column.currencies, pa.string())
            report[name] += f", with its currency in {currency}"
    return Fields(pa.table(table), pa.table(written), report)


def free_name(name: str, taken: Sequence[str]) -> str:
    """A name that is not among ``taken``."""
    return free_name(f"{name}_", taken) if name in taken else name


def _description(column: TypedColumn, places: Sequence[str]) -> str:
    if column.nearly is None:
        return column.kind
    if column.reason:
        return f"text, not {column.nearly}: {column.reason}, {places[column.misfits[0]]}"
    first = column.misfits[0]
    count = pluralise(len(column.misfits), "cell that is", "cells that are")
    example = f"{shortened(column.values[first])}, {places[first]}"
    return f"text, {column.nearly} but for {count} text: {example}"
