"""Table of the products' other columns, typed so that they can be filtered."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

# Leading zeros ("007") mark codes, which must stay text.
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_TRUTH = {"true": True, "false": False}


def fields_table(rows: Sequence[dict[str, Any]], names: Sequence[str], *, typed: bool) -> pa.Table:
    """One row per product; columns without any value are left out.

    With ``typed`` the values keep their types. Otherwise they are text, and a column becomes
    integer, float or boolean if every value is plainly written as one.

    >>> table = fields_table([{"price": "2.5", "code": "007"}, {"price": "3"}],
    ...     ["price", "code"], typed=False)
    >>> table.to_pylist()
    [{'price': 2.5, 'code': '007'}, {'price': 3.0, 'code': None}]
    """
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        column = _column(values if typed else _parsed(values))
        if column is not None:
            columns[name] = column
    return pa.table(columns)


def _parsed(values: list[Any]) -> list[Any]:
    """Text values as integers, floats or booleans if all of them are written that way."""
    written = [value for value in values if value is not None]
    if all(_INTEGER.fullmatch(value) for value in written):
        return [None if value is None else int(value) for value in values]
    if all(_NUMBER.fullmatch(value) and math.isfinite(float(value)) for value in written):
        return [None if value is None else float(value) for value in values]
    if all(value.lower() in _TRUTH for value in written):
        return [None if value is None else _TRUTH[value.lower()] for value in values]
    return values


def _column(values: list[Any]) -> pa.Array | None:
    types = {type(value) for value in values if value is not None}
    if not types:
        return None
    if types == {bool}:
        return pa.array(values, pa.bool_())
    if types == {int}:
        return pa.array(values, pa.int64())
    if types <= {int, float}:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    return pa.array([None if v is None else str(v) for v in values], pa.string())
