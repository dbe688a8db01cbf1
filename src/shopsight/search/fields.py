"""Product fields (title, price, ...) of all segments as one table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa

from shopsight.errors import unknown_name
from shopsight.search.errors import FilterError
from shopsight.search.filters import FILTERS, Filter
from shopsight.search.results import Facet, Value
from shopsight.types import BoolArray, IntArray


class FieldTable:
    """The fields of P products.

    Args:
        tables: one per segment; None for products without fields.
        rows: number of products of each segment.

    Attributes:
        table: all of them, P rows; a column that a segment lacks is null there.
    """

    def __init__(self, tables: Sequence[pa.Table | None], rows: Sequence[int]) -> None:
        # A nameless null column keeps the row count of segments without fields.
        padded = [
            pa.table({"": pa.nulls(count)}) if table is None else table
            for table, count in zip(tables, rows, strict=True)
        ]
        joined = pa.concat_tables(padded, promote_options="permissive") if padded else pa.table({})
        self.table = joined.drop_columns([""]) if "" in joined.column_names else joined
        self.names = [str(name) for name in self.table.column_names]
        self._columns = {name: FieldColumn(name, self.table.column(name)) for name in self.names}

    def record(self, row: int) -> dict[str, Value]:
        """The fields of one product, without missing values."""
        values = {name: _plain(self.table.column(name)[row].as_py()) for name in self.names}
        return {name: value for name, value in values.items() if value is not None}

    def parse(self, filters: Mapping[str, str]) -> list[Filter]:
        """Parse filters (value by field).

        Raises:
            FilterError: an unknown field, or a value that does not fit its type.
        """
        return [self._parse(str(name), str(text)) for name, text in filters.items()]

    def mask(self, filters: Sequence[Filter]) -> BoolArray | None:
        """(P,) products that meet all filters; None without filters."""
        met: BoolArray | None = None
        for condition in filters:
            mask = condition.mask(self._columns[condition.field].decoded)
            met = mask if met is None else met & mask
        return met

    def facets(self, alive: BoolArray | None = None) -> tuple[Facet, ...]:
        """A description of every field, counting the products ``alive`` (P,)."""
        counted = slice(None) if alive is None else alive
        return tuple(
            column.kind.facet(name, column.decoded, counted)
            for name, column in self._columns.items()
        )

    def milvus_values(self, name: str, rows: IntArray) -> list[str | float | bool | None]:
        """A field of products (n,) as Milvus compares it."""
        column = self._columns[name]
        values = column.stored.take(pa.array(rows)).to_pylist()
        return [column.kind.milvus_value(value) for value in values]

    def _parse(self, name: str, text: str) -> Filter:
        if not self.names:
            raise FilterError("the products of this index have no fields to filter by")
        if name not in self._columns:
            raise FilterError(str(unknown_name("field", name[:100], self.names)))
        return self._columns[name].kind.parse(name, text)


class FieldColumn:
    """A field of P products, decoded when it is first filtered by."""

    def __init__(self, name: str, stored: pa.ChunkedArray) -> None:
        self.name, self.stored = name, stored
        self.kind = next(kind for kind in FILTERS if kind.accepts(stored.type))

    @cached_property
    def decoded(self) -> Any:
        """See `Filter.decode`."""
        return self.kind.decode(self.stored)


def _plain(value: Any) -> Value:
    """A value as JSON can hold it; NaN and infinities become None.

    >>> _plain(float("nan")), _plain([1, 2])
    (None, '[1, 2]')
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
