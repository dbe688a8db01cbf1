"""Product fields (title, price, ...) of all segments as one table."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopsight.errors import unknown_name
from shopsight.search.conditions import Condition, Filters, values_of
from shopsight.search.errors import FilterError
from shopsight.search.filters import FILTERS, MilvusValue, as_text
from shopsight.search.results import Facet, Value
from shopsight.types import BoolArray, IntArray

_EXAMPLES = 1_000  # values among which an example is sought
_NUMBER = re.compile(r"[\d.,+-]+")


class FieldTable:
    """The fields of P products, as `table`; a column that a segment lacks is null there.

    It takes each segment's table, if any, and number of rows.
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

    def parse(self, filters: Filters) -> list[Condition]:
        """Parse filters; FilterError for what a field cannot answer."""
        return [self._parse(str(name), values) for name, values in filters.items()]

    def mask(self, conditions: Sequence[Condition]) -> BoolArray | None:
        """(P,) products that meet all conditions; None without conditions."""
        met: BoolArray | None = None
        for condition in conditions:
            mask = condition.mask(self._columns[condition.field].decoded)
            met = mask if met is None else met & mask
        return met

    def facets(
        self, alive: BoolArray | None = None, conditions: Sequence[Condition] = ()
    ) -> tuple[Facet, ...]:
        """A description of every field, counting the products ``alive`` (P,).

        The counts of a field ignore its own condition, so that they are those of choosing another
        of its values.
        """
        return tuple(self._facet(name, alive, conditions) for name in self.names)

    def _facet(self, name: str, alive: BoolArray | None, conditions: Sequence[Condition]) -> Facet:
        met = self.mask([item for item in conditions if item.field != name or item.negated])
        counted = alive if met is None else met if alive is None else alive & met
        column = self._columns[name]
        return column.kind.facet(name, column.decoded, slice(None) if counted is None else counted)

    def sortable(self, sort: str) -> tuple[FieldColumn, str]:
        """The field and the direction of "price" or "-price". Raises FilterError if unknown."""
        if sort.startswith("-") and sort not in self._columns:
            return self.column(sort.removeprefix("-")), "descending"
        return self.column(sort), "ascending"

    def order(self, sort: str, rows: IntArray) -> IntArray:
        """Rows (n,) by a field; ties keep their order, and missing values come last."""
        column, direction = self.sortable(sort)
        values = column.stored.take(pa.array(rows))
        if pa.types.is_boolean(values.type):
            values = values.cast(pa.int8())
        elif pa.types.is_floating(values.type):
            values = pc.if_else(pc.is_finite(values), values, None)
        elif not pa.types.is_primitive(values.type):
            values = pc.utf8_lower(as_text(values))
        ranks = pc.rank(values, direction, tiebreaker="dense")  # missing values last
        order = np.argsort(ranks.to_numpy(), kind="stable")
        return rows[order]

    def column(self, name: str) -> FieldColumn:
        """A field. Raises FilterError if it is unknown."""
        if not self.names:
            raise FilterError("the products of this index have no fields to filter by")
        if name not in self._columns:
            raise FilterError(str(unknown_name("field", name[:100], self.names)))
        return self._columns[name]

    def milvus_values(self, name: str, rows: IntArray) -> list[MilvusValue]:
        """A field of products (n,) as Milvus compares it."""
        column = self._columns[name]
        values = column.stored.take(pa.array(rows)).to_pylist()
        return [column.kind.milvus_value(value) for value in values]

    def _parse(self, name: str, values: str | Sequence[str]) -> Condition:
        # A field may itself begin with a minus sign.
        negated = name.startswith("-") and name not in self._columns
        column = self.column(name.removeprefix("-") if negated else name)
        filters = tuple(column.kind.parse(column, text) for text in values_of(name, values))
        return Condition(column.name, filters, negated)


class FieldColumn:
    """A field of P products, decoded when it is first filtered by."""

    def __init__(self, name: str, stored: pa.ChunkedArray) -> None:
        self.name, self.stored = name, stored
        self.kind = next(kind for kind in FILTERS if kind.accepts(stored.type))

    @cached_property
    def decoded(self) -> Any:
        """See `Filter.decode`."""
        return self.kind.decode(self.stored)

    @property
    def example(self) -> str:
        """A value as text; of a text column, preferably a value that is not a number."""
        values = (value for value in self.stored if value.is_valid)
        plain = (_plain(value.as_py()) for value in itertools.islice(values, _EXAMPLES))
        texts = [", ".join(v) if isinstance(v, list) else str(v) for v in plain if v is not None]
        return next((text for text in texts if not _NUMBER.fullmatch(text)), (*texts, "")[0])


def _plain(value: Any) -> Value:
    """A value as JSON can hold it; NaN and infinities become None.

    >>> _plain(float("nan")), _plain(["a", "b"]), _plain({"a": 1})
    (None, ['a', 'b'], "{'a': 1}")
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
