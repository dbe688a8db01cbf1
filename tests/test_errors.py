"""Error messages name the place."""

from __future__ import annotations

import pytest

from shopsight.errors import InputError


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({}, "f.tsv: bad"),
        ({"line": 3, "column": "score"}, "f.tsv, line 3, column score: bad"),
        ({"row": 2}, "f.tsv, row 2: bad"),
    ],
)
def test_input_error(place: dict[str, int | str], message: str) -> None:
    error = InputError("bad", path="f.tsv", **place)  # type: ignore[arg-type]
    assert str(error) == message
    assert (error.reason, error.path) == ("bad", "f.tsv")
