"""Judgements in both formats, and every rejection."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from shopsight.errors import InputError
from shopsight.formats.qrels import read_qrels

GOOD = {
    "competition": ('{"1": [7, 8], "2": []}', {"1": {"7": 1, "8": 1}, "2": {}}),
    "strings": ('{"1": ["7"]}', {"1": {"7": 1}}),
    "graded": ('{"1": {"7": 2, "8": 0}}', {"1": {"7": 2, "8": 0}}),
    "qrels": ("1 0 7 2\n1 0 8 0\r\n2\t0\t7\t-1\n", {"1": {"7": 2, "8": 0}, "2": {"7": -1}}),
}
BAD = {
    "empty": ("", ": the file is empty"),
    "nothing": ("{}", ": no answers in this file"),
    "list": ("[1]", ": a JSON list; expected"),
    "cut off": ('{"1": [7,', "broken JSON, cut off here"),
    "a run": ('{"1": [["7", 0.5]]}', "(this looks like a run, not answers)"),
    "no list": ('{"1": 7}', "query '1': 7 is not a list of product ids"),
    "query twice": ('{"1": [7], "1": [8]}', ": duplicate query '1'"),
    "product twice": ('{"1": [7, "7"]}', ": duplicate product '7' for query '1'"),
    "float id": ('{"1": [7.5]}', "query '1': product id 7.5 is not a string or whole number"),
    "float grade": ('{"1": {"7": 0.5}}', "query '1': grade 0.5 is not a whole number"),
    "empty query": ('{"": [7]}', ": empty query id"),
    "three columns": ("1 7 0.5\n", ", line 1, column 3: grade '0.5' is not a whole number"),
    "qrels twice": (
        "1 0 7 1\n1 0 7 1\n",
        ", line 2: duplicate product '7' for query '1' (first in line 1)",
    ),
    "qrels grade": ("1 0 7 yes\n", ", line 1, column 4: grade 'yes' is not a whole number"),
    "qrels huge grade": ("1 0 7 " + "9" * 30, "is not a whole number"),
}


@pytest.mark.parametrize(("text", "expected"), GOOD.values(), ids=GOOD)
def test_shapes(tmp_path: Path, text: str, expected: dict[str, dict[str, int]]) -> None:
    path = tmp_path / "answers"
    path.write_bytes(text.encode())
    assert read_qrels(path).relevance == expected
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + text.encode()))
    assert read_qrels(path).relevance == expected


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=BAD)
def test_rejected_with_a_message(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "answers"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_qrels(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)
