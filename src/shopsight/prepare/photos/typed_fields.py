"""The other columns of the table as a table of their own, with types that can be searched."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_TRUTH = {"true": True, "false": False}


def fields_table(rows: Sequence[dict[str, Any]], names: Sequence[str], *, typed: bool) -> pa.Table:
    """A row for each product, in their order.

    Args:
        rows: (P,) values by column.
        names: the columns; those without any value are left out.
        typed: whether values come with types; else a column all of whose values are plainly
            written whole numbers, numbers, or true and false becomes one of these.

    >>> table = fields_table([{"price": "2.5", "code": "007"}, {"price": "3"}],
    ...     ["price", "code"], typed=False)
    >>> table.to_pylist()
    [{'price': 2.5, 'code': '007'}, {'price': 3.0, 'code': None}]
    """
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        column = _column(values if typed else _read(values))
        if column is not None:
            columns[name] = column
    return pa.table(columns)


def _read(values: list[Any]) -> list[Any]:
    """Text as what it plainly is, if all of it is of one kind."""
    written = [one for one in values if one is not None]
    if all(_INTEGER.fullmatch(one) for one in written):
        return [None if one is None else int(one) for one in values]
    if all(_NUMBER.fullmatch(one) and math.isfinite(float(one)) for one in written):
        return [None if one is None else float(one) for one in values]
    if all(one.lower() in _TRUTH for one in written):
        return [None if one is None else _TRUTH[one.lower()] for one in values]
    return values


def _column(values: list[Any]) -> pa.Array | None:
    kinds = {type(one) for one in values if one is not None}
    if not kinds:
        return None
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int}:
        return pa.array(values, pa.int64())
    if kinds <= {int, float}:
        return pa.array([None if one is None else float(one) for one in values], pa.float64())
    return pa.array([None if one is None else str(one) for one in values], pa.string())
