"""Dates in every common form."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsight.formats.dates import parse_date


@given(st.dates() | st.datetimes())
def test_iso_8601_is_read(day):
    whole = day.replace(microsecond=0) if isinstance(day, datetime) else day
    assert parse_date(day.isoformat()) == whole


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-06-01T10:30:15.123456789Z", datetime(2024, 6, 1, 10, 30, 15)),
        ("2024-06-01 23:30 -0100", datetime(2024, 6, 2, 0, 30)),
        ("1st May 2024", date(2024, 5, 1)),
        ("Dec. 24, 2023", date(2023, 12, 24)),
        (" 24.12.2023 ", date(2023, 12, 24)),
        ("24-12-2023", date(2023, 12, 24)),
        ("12/24/2023", date(2023, 12, 24)),
    ],
)
def test_other_forms(text, expected):
    assert parse_date(text) == expected


def test_the_order_of_day_and_month_can_be_given():
    assert parse_date("05/06/2024", day_first=True) == date(2024, 6, 5)
    assert parse_date("05/06/2024", day_first=False) == date(2024, 5, 6)
    assert parse_date("13/06/2024", day_first=False) is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "2024", "2024-06", "20240601", "2024-02-30", "0000-01-01", "05/06/2024", "5/6/24"),
        *(
            "1 Foo 2024",
            "2024-06/01",
            "2024-06-01T25:00",
            "2024-06-01T10",
            "x2024-06-01",
            "31/31/2024",
        ),
        "0001-01-01T00:00+23:59",
    ],
)
def test_everything_else_is_no_date(text):
    assert parse_date(text) is None
