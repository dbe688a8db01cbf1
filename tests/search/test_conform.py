"""Deliveries take the column types of the index."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shopsight.data.photo_store import read_fields
from shopsight.errors import DataError
from shopsight.prepare.photos.typed_fields import typed_fields
from shopsight.search.conform import conformed_fields


@dataclass
class Delivery:
    """The part of a prepared folder that fields need."""

    path: Path
    products: list[str]

    @cached_property
    def fields(self) -> pa.Table | None:
        return read_fields(self.path)


def delivery(folder: Path, cells: list[Any]) -> Delivery:
    """A prepared folder whose field "a" was written as ``cells``."""
    places = [f"line {i}" for i in range(len(cells))]
    fields = typed_fields([{"a": cell} for cell in cells], ["a"], places)
    pq.write_table(fields.table, folder / "fields.parquet")
    pq.write_table(fields.written, folder / "fields_written.parquet")
    return Delivery(folder, [f"p{i}" for i in range(len(cells))])


TEXT, DAY = pa.string(), pa.date32()


@pytest.mark.parametrize(
    ("cells", "index_type", "values"),
    [
        (["36", "37"], TEXT, ["36", "37"]),
        (["36.50", "37.00"], TEXT, ["36.50", "37.00"]),
        (["$9.95", None], TEXT, ["$9.95", None]),
        (["1 June 2024"], TEXT, ["1 June 2024"]),
        (["yes", "no"], TEXT, ["yes", "no"]),
        ([36, 37], TEXT, ["36", "37"]),
        ([["a", "b"]], TEXT, ["a, b"]),
        (["['a', 'b']"], TEXT, ["['a', 'b']"]),
        (["36", "37.5"], pa.int64(), [36.0, 37.5]),
        (["€ 9,95"], pa.float64(), [9.95]),
        (["yes", "no"], pa.bool_(), [True, False]),
        (["2024-06-01"], pa.timestamp("ms"), [datetime(2024, 6, 1)]),
        (["2024-06-01"], DAY, [date(2024, 6, 1)]),
        (["red", "blue"], pa.list_(TEXT), [["red"], ["blue"]]),
        (["red"], pa.null(), ["red"]),
    ],
)
def test_cells_that_fit_take_the_type_of_the_index(tmp_path, cells, index_type, values):
    fields = conformed_fields(delivery(tmp_path, cells), pa.schema([("a", index_type)]))
    assert fields["a"].to_pylist() == values
    unified = [pa.schema([("a", index_type)]), fields.schema]
    pa.unify_schemas(unified, promote_options="permissive")


@pytest.mark.parametrize(
    ("cells", "index_type", "reason"),
    [
        (["9.95", "N/A"], pa.float64(), "'p1': 'N/A' is not a number, unlike a in the index"),
        (["1.299"], pa.float64(), "'p0': '1.299' may mean 1299 or 1.299"),
        (["true", "maybe"], pa.bool_(), "'p1': 'maybe' is not true or false"),
        ([7], pa.bool_(), "'p0': '7' is not true or false"),
        (["2024-06-01", "soon"], DAY, "'p1': 'soon' is not a date"),
        (["05/06/2024"], DAY, "'p0': '05/06/2024' may mean 2024-06-05 or 2024-05-06"),
        (["2024-06-01 10:00"], DAY, "'p0': '2024-06-01 10:00' is not a day without a time"),
    ],
)
def test_the_first_cell_that_does_not_fit_is_named(tmp_path, cells, index_type, reason):
    data = delivery(tmp_path, cells)
    with pytest.raises(DataError, match=re.escape(f"{tmp_path}: a of product {reason}")):
        conformed_fields(data, pa.schema([("a", index_type)]))


def test_other_columns_are_left_as_they_are(tmp_path):
    fields = conformed_fields(delivery(tmp_path, ["36"]), pa.schema([("b", TEXT)]))
    assert fields["a"].to_pylist() == [36]
    (tmp_path / "fields.parquet").unlink()
    assert conformed_fields(Delivery(tmp_path, []), pa.schema([("a", TEXT)])) is None
