"""Tables of typed fields, and what prepare says about each column."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest

from shopsight.prepare.photos.typed_fields import typed_fields


def fields_of(values):
    places = [f"line {i}" for i in range(2, len(values) + 2)]
    return typed_fields([{"a": value} for value in values], ["a"], places)


@pytest.mark.parametrize(
    ("values", "expected", "kind"),
    [
        (["1", "-20", None], [1, -20, None], pa.int64()),
        (["1", "2.5"], [1.0, 2.5], pa.float64()),
        ([1, 2.5, None], [1.0, 2.5, None], pa.float64()),
        (["true", "False", None], [True, False, None], pa.bool_()),
        (["007", "8", None], ["007", "8", None], pa.string()),
        (["['x', 'y']", None], [["x", "y"], None], pa.list_(pa.string())),
        (["2024-06-01", None], [datetime.date(2024, 6, 1), None], pa.date32()),
        (
            ["2024-06-01 10:30", "2024-06-02"],
            [datetime.datetime(2024, 6, 1, 10, 30), datetime.datetime(2024, 6, 2)],
            pa.timestamp("ms"),
        ),
    ],
)
def test_columns_have_types_and_what_was_written(values, expected, kind):
    fields = fields_of(values)
    assert fields.table["a"].to_pylist() == expected
    assert fields.table.schema.field("a").type == kind
    if kind != pa.string() and isinstance(values[0], str) and kind != pa.list_(pa.string()):
        assert fields.written["a"].to_pylist() == values


@pytest.mark.parametrize(
    ("values", "description"),
    [
        (["1", "2"], "number"),
        (["a", "b"], "text"),
        (["1", "N/A", "3"], "text, number but for 1 cell that is text: 'N/A', line 3"),
        (["1", "x", "3", "y", "4", "5"], "text, number but for 2 cells that are text: 'x', line 3"),
        (["899", "1.299"], "text, not number: '1.299' may mean 1299 or 1.299, line 3"),
        ([None, None], "left out: no cell has a value that a field can hold"),
    ],
)
def test_every_column_is_described(values, description):
    assert fields_of(values).report == {"a": description}


def test_currencies_have_a_column_of_their_own():
    rows = [{"price": "$9.95", "price_currency": "x"}, {"price": "12", "price_currency": None}]
    fields = typed_fields(rows, ["price", "price_currency"], ["line 2", "line 3"])
    assert fields.table.to_pylist() == [
        {"price": 9.95, "price_currency_": "$", "price_currency": "x"},
        {"price": 12.0, "price_currency_": None, "price_currency": None},
    ]
    assert fields.report["price"] == "number, with its currency in price_currency_"
    assert fields.written["price"].to_pylist() == ["$9.95", "12"]


def test_columns_without_values_are_left_out():
    fields = typed_fields([{"a": None, "b": "x"}, {}], ["a", "b"], ["line 2", "line 3"])
    assert fields.table.column_names == ["b"]
    assert fields.table["b"].to_pylist() == ["x", None]
