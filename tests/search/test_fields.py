"""Product fields of several segments as one table, and their facets."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from shopsight.search.fields import FieldTable
from shopsight.search.filters import TextFilter

TABLE = pa.table(
    {
        "colour": ["Red", "blue", None, "RED", "Dark Red"],
        "price": [10.0, 20.0, 30.0, None, math.nan],
        "sold": [True, False, None, True, False],
        "stars": [1, 2, 3, 4, None],
    }
)


def test_missing_columns_are_null() -> None:
    more = pa.table({"colour": ["green"], "size": ["L"]})
    fields = FieldTable([TABLE, None, more], [5, 2, 1])
    assert fields.names == ["colour", "price", "sold", "stars", "size"]
    assert fields.record(0) == {"colour": "Red", "price": 10.0, "sold": True, "stars": 1}
    assert fields.record(4) == {"colour": "Dark Red", "sold": False}
    assert fields.record(5) == {}
    assert fields.record(7) == {"colour": "green", "size": "L"}
    met = fields.mask([TextFilter("size", "l")])
    assert np.flatnonzero(met).tolist() == [7]


def test_facets_describe_fields() -> None:
    alive = np.array([True, True, True, True, False])
    colour, price, sold, stars = FieldTable([TABLE], [5]).facets(alive)
    assert (colour.kind, colour.values) == ("choice", {"Red": 1, "blue": 1, "RED": 1})
    assert (price.kind, price.low, price.high) == ("number", 10.0, 30.0)
    assert (sold.kind, sold.values) == ("flag", {"true": 2, "false": 1})
    assert (stars.kind, stars.low, stars.high) == ("number", 1.0, 4.0)
    titles = pa.table({"title": [f"t{i}" for i in range(200)], "none": pa.nulls(200, pa.float64())})
    title, none = FieldTable([titles], [200]).facets()
    assert (title.kind, title.values, none.low) == ("text", {}, None)
