"""Lists and whole numbers written into cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsight.formats.cells import parse_list, whole_id


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("['red dress', 'blue']", ["red dress", "blue"]),
        ('["it\'s", "b"]', ["it's", "b"]),
        ("['a' 'b'\n 'c']", ["a", "b", "c"]),
        ("[1, 2.5, -3]", ["1", "2.5", "-3"]),
        ("[1. 2.]", ["1.", "2."]),
        ("[None, 'a', nan]", ["a"]),
        ('[null, "a"]', ["a"]),
        ("[]", []),
    ],
)
def test_lists(text, items):
    assert parse_list(text) == items


@pytest.mark.parametrize(
    "text",
    [
        *("red", "", "[SALE] dress", "[red]", "['a'", "['a',,'b']", "[,]", "[[1], [2]]"),
        *("[print('x')]", "[f'{x}']", "[b'x']", "['a', 'b'] x", "['\\ud83d']", "[{}]", "{'a': 1}"),
        *("[" * 5000 + "]", "[" + "'a'," * 60_000 + "]"),
    ],
)
def test_other_texts_are_no_lists(text):
    assert parse_list(text) is None


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1))
def test_what_python_writes_is_read(items):
    assert parse_list(repr(items)) == items


def test_whole_ids():
    assert [whole_id(text) for text in ("7.0", "7.00", "7", "7.5", "v7.0", "0.0", "007.0")] == [
        *("7", "7", "7", "7.5", "v7.0", "0", "007")
    ]
