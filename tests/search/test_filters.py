"""Filters: parsing, masks, facets; filtered retrieval equals filtering afterwards."""

from __future__ import annotations

import math
import re
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from shopsight.search.errors import FilterError
from shopsight.search.fields import FieldTable
from shopsight.search.filters import parse_filter
from shopsight.search.searcher import Searcher

TABLE = pa.table(
    {
        "colour": ["Red", "blue", None, "RED", "Dark Red"],
        "price": [10.0, 20.0, 30.0, None, math.nan],
        "sold": [True, False, None, True, False],
        "stars": [1, 2, 3, 4, None],
        "cost": ["9.95", "N/A", "45", "..", " <3 cm "],
        "added": [date(2024, 1, 5), date(2024, 2, 29), date(2024, 6, 1), None, date(2025, 1, 1)],
        "seen": pa.array([datetime(2024, 1, 5, 23, 59), None, None, None, datetime(2024, 1, 6)]),
        "tags": [["new", "sale"], ["Sale "], [], None, ["cafe\u0301"]],
    }
)


@pytest.mark.parametrize(
    ("field", "text", "rows"),
    [
        ("colour", "red", [0, 3]),
        ("colour", "DARK RED", [4]),
        ("colour", "green", []),
        ("price", "20", [1]),
        ("price", "10..20", [0, 1]),
        ("price", "..20", [0, 1]),
        ("price", "20..", [1, 2]),
        ("price", ">10", [1, 2]),
        ("price", ">=10", [0, 1, 2]),
        ("price", "<20", [0]),
        ("price", " <= 20 ", [0, 1]),
        ("price", "30..10", []),
        ("stars", "2..3", [1, 2]),
        ("stars", "1e0", [0]),
        ("sold", "true", [0, 3]),
        ("sold", "No", [1, 4]),
        ("colour", " red ", [0, 3]),
        ("cost", "n/a", [1]),
        ("cost", "..", [3]),
        ("cost", "<3 cm", [4]),
        ("added", "2024-02-29", [1]),
        ("added", "2024", [0, 1, 2]),
        ("added", "2024-02", [1]),
        ("added", "1 June 2024", [2]),
        ("added", ">=2024-06-01", [2, 4]),
        ("added", ">2024-06-01", [4]),
        ("added", "<2024-02", [0]),
        ("added", "<=2024-02", [0, 1]),
        ("added", "2024-02..2024-06", [1, 2]),
        ("added", "..2024", [0, 1, 2]),
        ("added", "2025..", [4]),
        ("seen", "2024-01-05", [0]),
        ("seen", ">2024-01-05", [4]),
        ("seen", "2024-01-05 23:59", [0]),
        ("tags", "sale", [0, 1]),
        ("tags", "CAFÉ", [4]),
        ("tags", "new, sale", []),
    ],
)
def test_masks_by_hand(field: str, text: str, rows: list[int]) -> None:
    fields = FieldTable([TABLE], [5])
    met = fields.mask(fields.parse({field: text}))
    assert np.flatnonzero(met).tolist() == rows


def test_filters_are_combined_with_and() -> None:
    fields = FieldTable([TABLE], [5])
    met = fields.mask(fields.parse({"colour": "red", "price": "<100"}))
    assert np.flatnonzero(met).tolist() == [0]
    assert fields.mask([]) is None


@pytest.mark.parametrize(
    ("filters", "sentence"),
    [
        ({"prise": "1"}, "unknown field 'prise'; did you mean 'price'?"),
        (
            {"price": "cheap"},
            "price expects a number or range (10, 10..20, 10.., >=10), got 'cheap';"
            " this index has values such as 10.0",
        ),
        ({"price": ""}, "price expects a number"),
        ({"price": "nan"}, "price expects a number"),
        ({"price": "1_0"}, "price expects a number"),
        ({"price": "inf.."}, "price expects a number"),
        ({"price": ".."}, "has no lower or upper bound"),
        ({"sold": "maybe"}, "sold expects true or false, got 'maybe'"),
        (
            {"cost": "<=50"},
            "cost is text in this index (e.g. 'N/A'); <= needs numbers or dates: empty or correct"
            " such cells and prepare the table again",
        ),
        ({"cost": "10..50"}, "cost is text in this index (e.g. 'N/A'); .. needs numbers or dates"),
        ({"cost": " > 9 "}, "> needs numbers or dates"),
        ({"colour": "..2024-06-01"}, "colour is text in this index (e.g. 'Red'); .. needs"),
        ({"tags": ">=3"}, "tags is text in this index (e.g. 'new, sale'); >= needs"),
        ({"added": "soon"}, "added expects a date or range (2024-06-01, 2024-06..2024-08, >=2024)"),
        ({"added": "05/06/2024"}, "got '05/06/2024'; this index has values such as 2024-01-05"),
        ({"added": ">"}, "added expects a date or range"),
    ],
)
def test_invalid_filters(filters: dict[str, str], sentence: str) -> None:
    with pytest.raises(FilterError, match=re.escape(sentence)):
        FieldTable([TABLE], [5]).parse(filters)
    with pytest.raises(FilterError, match="have no fields"):
        FieldTable([None], [5]).parse({"price": "1"})


@pytest.mark.parametrize("text", ["", "price", "=3", "  =3", "price 10"])
def test_text_without_a_filter(text: str) -> None:
    with pytest.raises(FilterError, match="expected field=value"):
        parse_filter(text)


def test_a_filter_is_split_at_its_first_comparison() -> None:
    assert parse_filter("a=b=c") == ("a", "b=c")
    assert parse_filter("a>=b") == ("a", ">=b")
    assert parse_filter("price=>=10") == ("price", ">=10")
    assert parse_filter("a < 3") == ("a", "<3")


@pytest.mark.parametrize(
    "filters",
    [
        {"category": "shoes"},
        {"price": "20..60", "in_stock": "true"},
        {"stars": ">=4", "category": 'ünïcode "Q" \\ x'},
        {"price": "99.99.."},
        {"title": "thing 3"},
    ],
)
def test_filtered_retrieval_equals_filtering_afterwards(
    filters: dict[str, str], index: Path
) -> None:
    searcher = Searcher.open(index)
    count = searcher.info()["products"]
    every = searcher.search("red shoe", count, rerank=False)
    expected = [hit.product_id for hit in every.hits if _meets(dict(hit.fields), filters)]
    filtered = searcher.search("red shoe", count, rerank=False, filters=filters)
    assert [hit.product_id for hit in filtered.hits] == expected
    assert filtered.total == len(expected)
    top = searcher.search("red shoe", 5, rerank=False, filters=filters)
    assert [hit.product_id for hit in top.hits] == expected[:5]
    reranked = searcher.search("red shoe", 5, filters=filters, candidates=50)
    assert {hit.product_id for hit in reranked.hits} <= set(expected[:50])
    assert len(reranked.hits) == min(5, len(expected))
    similar = searcher.similar(every.hits[0].product_id, 5, filters=filters)
    assert {hit.product_id for hit in similar.hits} <= set(expected)


def _meets(fields: dict[str, object], filters: dict[str, str]) -> bool:
    """Reference implementation on the fields of a hit."""
    price, stars = fields.get("price"), fields["stars"]
    assert isinstance(stars, int)
    checks = {
        "shoes": str(fields["category"]).casefold() == "shoes",
        'ünïcode "Q" \\ x': fields["category"] == 'Ünïcode "q" \\ x',
        "20..60": isinstance(price, float) and 20 <= price <= 60,
        "99.99..": isinstance(price, float) and price >= 99.99,
        "true": fields["in_stock"] is True,
        ">=4": stars >= 4,
        "thing 3": fields["title"] == "thing 3",
    }
    return all(checks[text] for text in filters.values())
