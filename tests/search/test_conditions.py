"""Conditions: alternatives, exclusions and their errors."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from shopsight.search.conditions import parse_filters
from shopsight.search.errors import FilterError
from shopsight.search.fields import FieldTable

TABLE = pa.table(
    {
        "colour": ["red", "Blue", "green", None],
        "price": [10.0, 20.0, float("nan"), 40.0],
        "-odd": ["a", "b", "c", "d"],
    }
)


@pytest.mark.parametrize(
    ("texts", "rows"),
    [
        (["colour=red", "colour=BLUE"], [0, 1]),
        (["-colour=red"], [1, 2, 3]),
        (["-colour=red", "-colour=green"], [1, 3]),
        (["price=..10", "price=30.."], [0, 3]),
        (["-price=15..25"], [0, 2, 3]),
        (["colour=red", "colour=blue", "-price=10"], [1]),
        (["-odd=a"], [0]),
        (["--odd=a"], [1, 2, 3]),
        (["colour=red", "colour=red"], [0]),
        (["colour=red", "-colour=red"], []),
    ],
)
def test_masks_by_hand(texts: list[str], rows: list[int]) -> None:
    fields = FieldTable([TABLE], [4])
    mask = fields.mask(fields.parse(parse_filters(texts)))
    assert np.flatnonzero(mask).tolist() == rows


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"price": [">=10", "<=20"]}, "for a range write price=10..20"),
        ({"price": []}, "price expects 1 to 100 values, got 0"),
        ({"colour": ["x"] * 101}, "colour expects 1 to 100 values, got 101"),
        ({"-size": "4"}, "unknown field 'size'"),
    ],
)
def test_invalid_conditions(filters: dict[str, object], message: str) -> None:
    with pytest.raises(FilterError, match=message):
        FieldTable([TABLE], [4]).parse(filters)


@pytest.mark.parametrize(
    ("sort", "rows"),
    [
        ("price", [0, 1, 3, 2]),
        ("-price", [3, 1, 0, 2]),
        ("colour", [1, 2, 0, 3]),
        ("-colour", [0, 2, 1, 3]),
        ("-odd", [0, 1, 2, 3]),
        ("--odd", [3, 2, 1, 0]),
    ],
)
def test_orders_by_hand(sort: str, rows: list[int]) -> None:
    """Missing values come last in both directions; text is compared without case."""
    assert FieldTable([TABLE], [4]).order(sort, np.arange(4)).tolist() == rows


def test_facets_ignore_the_condition_of_their_own_field() -> None:
    fields = FieldTable([TABLE], [4])
    conditions = fields.parse({"colour": "red", "price": "..20"})
    colour, price, _ = fields.facets(np.ones(4, bool), conditions)
    assert colour.values == {"red": 1, "Blue": 1}
    assert (price.low, price.high) == (10, 10)
