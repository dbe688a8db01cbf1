"""Tables of typed fields."""

from __future__ import annotations

import pyarrow as pa
import pytest

from shopsight.prepare.photos.typed_fields import fields_table


@pytest.mark.parametrize(
    ("written", "expected", "kind"),
    [
        (["1", "-20", None], [1, -20, None], pa.int64()),
        (["1", "2.5", "1e3"], [1.0, 2.5, 1000.0], pa.float64()),
        (["true", "False", None], [True, False, None], pa.bool_()),
        (["007", "8", None], ["007", "8", None], pa.string()),
        (["1,5", "2"], ["1,5", "2"], pa.string()),
        (["nan", "2"], ["nan", "2"], pa.string()),
        (["1e999", "2"], ["1e999", "2"], pa.string()),
        (["9" * 19, "2"], [float("9" * 19), 2.0], pa.float64()),
        (["yes", "no"], ["yes", "no"], pa.string()),
    ],
)
def test_text_columns_are_parsed(written, expected, kind):
    table = fields_table([{"a": value} for value in written], ["a"], typed=False)
    assert table["a"].to_pylist() == expected
    assert table.schema.field("a").type == kind


@pytest.mark.parametrize(
    ("values", "expected", "kind"),
    [
        (["1", "2"], ["1", "2"], pa.string()),
        ([1, 2.5, None], [1.0, 2.5, None], pa.float64()),
        ([True, 1, "x"], ["True", "1", "x"], pa.string()),
        ([True, None], [True, None], pa.bool_()),
    ],
)
def test_types_are_kept(values, expected, kind):
    table = fields_table([{"a": value} for value in values], ["a"], typed=True)
    assert table["a"].to_pylist() == expected
    assert table.schema.field("a").type == kind


def test_columns_without_values_are_left_out():
    table = fields_table([{"a": None, "b": "x"}, {}], ["a", "b"], typed=False)
    assert table.column_names == ["b"]
    assert table["b"].to_pylist() == ["x", None]
