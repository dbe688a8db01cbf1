"""The typing rule: numbers, prices, dates, flags, lists, and everything that must stay text."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsight.formats.column_types import as_written, read_as, read_column

NUMBERS = [
    (["1", "-20", None], [1, -20, None]),
    (["19.90", "5.00", "7"], [19.9, 5.0, 7]),
    (["4.5", "3.25", "0.125"], [4.5, 3.25, 0.125]),
    (["0.3333333333333333", "0.1"], [0.3333333333333333, 0.1]),
    ([1, 2.5, None], [1, 2.5, None]),
    ([1700000000000], [1700000000000]),
    (["1,299.00", "899.50"], [1299.0, 899.5]),
    (["1.299,00", "899,50", "1.299"], [1299.0, 899.5, 1299.0]),
    (["9,95", "12,50"], [9.95, 12.5]),
    (["1,299", "12,500", "7"], [1299.0, 12500.0, 7.0]),
]


@pytest.mark.parametrize(("cells", "values"), NUMBERS)
def test_numbers(cells, values):
    column = read_column(cells)
    assert (column.kind, column.values, column.currencies) == ("number", values, None)


@pytest.mark.parametrize(
    ("cells", "values", "currencies"),
    [
        (["$9.95", "1,299.00 $", "12"], [9.95, 1299.0, 12.0], ["$", "$", None]),
        (["€ 1.299", "899 €"], [1299.0, 899.0], ["€", "€"]),
        (["1\u00a0299,50 kr", "100,- kr"], [1299.5, 100.0], ["kr", "kr"]),
        (["CHF 1'299.00", "EUR 5.50"], [1299.0, 5.5], ["CHF", "EUR"]),
        (["-5 €", "$-3.20", "−$1.00"], [-5.0, -3.2, -1.0], ["€", "$", "$"]),
        (["Rs. 1,29,900", "Rs. 5"], None, None),
        (["₹1,299", None], [1299.0, None], ["₹", None]),
        (["R$ 1.299.000,90"], [1299000.9], ["R$"]),
        (["£9", "£9.5"], [9.0, 9.5], ["£", "£"]),
    ],
)
def test_prices(cells, values, currencies):
    column = read_column(cells)
    if values is None:
        assert column.kind == "text"
    else:
        assert (column.kind, column.values, column.currencies) == ("number", values, currencies)


TEXTS = [
    *(["007", "12"], ["1e5", "3"], ["+49 30 123", "5"], ["1.9", "1.10", "2.0"], ["-0", "1"]),
    *(["4006381333931", "12"], ["9" * 40], ["W32", "W34"], ["10 kg", "5 kg"], ["20 %"], ["1_000"]),
    *(["192.168.100", "10.0.1"], ["123 456 789"], ["12.5.7"], ["3 for $10"], ["10-20 $"], ["00.5"]),
    *(
        ["S", "M", "38"],
        ["nan", "2"],
        ["inf"],
        ["0x10"],
        ["1,29,900"],
        ["Free", "$9"],
        [".5"],
        ["5."],
    ),
    *(["9,95", "12.50"], ["$1,299", "€1.299"], ["yes", "true"], ["[SALE] dress"], ["2024-13-01"]),
    *(["June"], ["12:30"], [True, "x"], [12345678901234567890], ["١٢"], ["1 299"], ["a|b"]),
]


@pytest.mark.parametrize("cells", TEXTS, ids=map(str, TEXTS))
def test_everything_else_stays_as_it_is_written(cells):
    column = read_column(cells)
    assert column.kind == "text"
    assert column.values == [as_written(cell) for cell in cells]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["2024-01-05", None, "2024/2/5"], [date(2024, 1, 5), None, date(2024, 2, 5)]),
        (["1 June 2024", "June 2, 2024"], [date(2024, 6, 1), date(2024, 6, 2)]),
        (["3-Jun-2024", "4th Sept. 2024"], [date(2024, 6, 3), date(2024, 9, 4)]),
        (["05.06.2024"], [date(2024, 6, 5)]),
        (["05/06/2024", "13/06/2024"], [date(2024, 6, 5), date(2024, 6, 13)]),
        (["05/06/2024", "06/13/2024"], [date(2024, 5, 6), date(2024, 6, 13)]),
        (["05/05/2024"], [date(2024, 5, 5)]),
        (["2024-01-05T10:00:00+02:00"], [datetime(2024, 1, 5, 8)]),
        (["2024-01-05 10:00", "2024-01-06"], [datetime(2024, 1, 5, 10), date(2024, 1, 6)]),
    ],
)
def test_dates(cells, values):
    column = read_column(cells)
    assert (column.kind, column.values) == ("date", values)


def test_flags_and_lists():
    assert read_column(["yes", "No", None]).values == [True, False, None]
    assert read_column(["TRUE", "false"]).values == [True, False]
    assert read_column([True, None]).kind == "flag"
    assert read_column(["['red', 'blue']", '["a, b"]']).values == [["red", "blue"], ["a, b"]]
    assert read_column([["a"], "b", None]).values == [["a"], ["b"], None]


def test_cells_that_do_not_fit_are_named():
    column = read_column(["9.95", None, "N/A", "3", "5"])
    assert (column.kind, column.nearly, column.misfits) == ("text", "number", [2])
    column = read_column(["2024-01-05", "soon", "2024-01-07"])
    assert (column.nearly, column.misfits) == ("date", [1])
    assert read_column(["S", "M", "38"]).nearly is None


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["1.299", "899"], "'1.299' may mean 1299 or 1.299"),
        (["05/06/2024", "07/08/2024"], "'05/06/2024' may mean 2024-06-05 or 2024-05-06"),
    ],
)
def test_both_readings_of_what_could_mean_two_things(cells, reason):
    column = read_column(cells)
    assert (column.kind, column.reason) == ("text", reason)


def test_cells_are_read_as_the_type_of_an_index():
    assert read_as("text", [36, 2.5, True, ["a", "b"], None]).values == [
        *("36", "2.5", "true", "a, b", None)
    ]
    assert read_as("number", ["$9.95", "12"]).values == [9.95, 12.0]
    assert read_as("number", ["9.95", "N/A"]).misfits == [1]
    assert read_as("date", ["soon"]).misfits == [0]
    assert read_as("list", ["a", "['b', 'c']", None]).values == [["a"], ["b", "c"], None]
    assert read_as("flag", [None]).values == [None]


def test_a_late_text_is_found():
    assert read_column([*map(str, range(5000)), "x"]).kind == "text"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=1))
def test_numbers_survive(numbers):
    cells = [repr(number) for number in numbers]
    column = read_column(cells)
    if column.kind == "number":
        assert column.values == numbers
    else:
        assert column.values == cells


@given(st.lists(st.none() | st.text(min_size=1), min_size=1))
def test_any_text_is_read(cells):
    column = read_column(cells)
    assert len(column.values) == len(cells)
    assert [value is None for value in column.values] == [cell is None for cell in cells]
