"""Product fields of several segments as one table, and their facets."""

from __future__ import annotations

import math
from datetime import date

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


def test_dates_and_lists_are_values() -> None:
    days = [date(2024, 6, 1), None, date(2023, 5, 4)]
    tags = [["a", "b"], ["b"], None]
    fields = FieldTable([pa.table({"added": days, "tags": tags})], [3])
    assert fields.record(0) == {"added": "2024-06-01", "tags": ["a", "b"]}
    assert fields.record(1) == {"tags": ["b"]}
    added, facet = fields.facets()
    assert (added.kind, added.low, added.high) == ("date", "2023-05-04", "2024-06-01")
    assert (facet.kind, facet.values) == ("choice", {"b": 2, "a": 1})
    alive = np.array([True, False, True])
    assert fields.facets(alive)[1].values == {"a": 1, "b": 1}
    assert fields.milvus_values("added", np.array([0, 1])) == [1717200000.0, None]
    assert fields.milvus_values("tags", np.array([0, 2])) == [["a", "b"], None]


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
