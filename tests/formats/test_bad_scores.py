"""Every kind of invalid score file is rejected with a one-line message that names the place."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsight.errors import InputError
from shopsight.formats.runs import read_run

LONG = "9" * 2000
BAD = {
    "empty": ("", ": the file is empty"),
    "blank": (" \r\n\n", ": the file is empty"),
    "only a header": ("query_id,product_id,score\n", ": no scores in this file"),
    "empty object": ("{}", ": no scores in this file"),
    "json cut off": ('{"1": [["a", 0.5], ["b"', ", line 1, column 24: broken JSON, cut off here"),
    "json cut in a string": ('{"1": [["a', "broken JSON, cut off here"),
    "json syntax": ('{"1": [["a", 0.5],\n ]}', ", line 2, column 2: broken JSON: expecting value"),
    "json list": ("[1, 2]", ": a JSON list; expected a TREC run"),
    "json rest": ('{"1": []} x', "broken JSON: extra data"),
    "json deep": ('{"1":' + "[" * 100_000, ": JSON is nested too deeply"),
    "json digits": ('{"1": [["a", ' + "9" * 5000 + "]]}", "a number of thousands of digits"),
    "json query twice": ('{"1": {"a": 1}, "1": {"b": 1}}', ": duplicate query '1'"),
    "json pair twice": (
        '{"1": {"a": 1, "a": 2}}',
        ": duplicate product 'a' for query '1'",
    ),
    "json pair twice as list": (
        '{"1": [["a", 1], ["a", 1]]}',
        ": duplicate product 'a' for query '1'",
    ),
    "json wrong value": ('{"1": 3}', "query '1': 3 is not a list of [product, score] pairs"),
    "json answers": ('{"1": [5, 6]}', "(this looks like answers, not a run)"),
    "json triple": ('{"1": [["a", 1, 2]]}', "query '1': entry 1 is ['a', 1, 2], not a"),
    "json null score": ('{"1": [["a", null]]}', "query '1': score None is not a number"),
    "json text score": ('{"1": [["a", "x"]]}', "query '1': score 'x' is not a number"),
    "json true score": ('{"1": [["a", true]]}', "query '1': score True is not a number"),
    "json NaN": ('{"1": [["a", NaN]]}', "query '1': score nan is not a finite number"),
    "json infinite": ('{"1": [["a", -Infinity]]}', "score -inf is not a finite number"),
    "json overflow": ('{"1": [["a", 1' + "0" * 400 + "]]}", "is not a finite number"),
    "json huge": ('{"1": [["a", 1e200]]}', "score 1e+200 is beyond 1e+100"),
    "json float id": ('{"1": [[1.5, 0.5]]}', "product id 1.5 is not a string or whole number"),
    "json null id": ('{"1": [[null, 1]]}', "product id None is not a string or whole number"),
    "json empty id": ('{"1": {"": 1}}', "query '1': empty product id"),
    "json empty query": ('{"": {"a": 1}}', ": empty query id"),
    "json long id": ('{"1": {"' + LONG + '": 1}}', "product id of 2,000 characters"),
    "json surrogate": ('{"1": {"\\ud800": 1}}', "product id '\\ud800' is not valid text"),
    "one column": ("abc\n", ", line 1: 1 column; expected a TREC run (6 columns,"),
    "two columns": ("1\ta\n", ", line 1: 2 columns; expected"),
    "qrels": ("1 0 a 1\n", "this looks like TREC qrels (answers), not a run"),
    "short line": ("1\ta\t0.5\n1\tb\n", ", line 2: 2 columns, where other lines have 3"),
    "cut off": ("1\ta\t0.5\n1\tb\t0.25\n1", ", line 3: 1 column, where other lines have 3"),
    "long line": ("1,a,0.5\n1,b,1,2\n", ", line 2: 4 columns, where other lines have 3"),
    "not a number": ("1\ta\t0.5\n1\tb\tx\n", ", line 2, column 3: score 'x' is not a number"),
    "underscore": ("1\ta\t1_0\n", ", line 1, column 3: score '1_0' is not a number"),
    "nan": ("1 Q0 a 1 nan t\n", ", line 1, column 5: score 'nan' is not a finite number"),
    "inf": ("1 a 0.5\n1 b -inf\n", ", line 2, column 3: score '-inf' is not a finite number"),
    "empty id": ("1\t\t0.5\n", ", line 1, column 2: empty product id"),
    "long id": (f"{LONG},a,0.5\n", ", line 1, column 1: query id of 2,000 characters"),
    "unknown header": (
        "user\titem\tvalue\n1\ta\t0.5\n",
        ", line 1: this looks like a header without names for query and product; known are, for"
        " queries: query_id, ",
    ),
    "no header": ("q1,a,high\nq1,b,0.5\n", "line 1, column 3: score 'high' is not a number"),
    "header without score": (
        "query_id\tquery\tproduct_id\n1\tred\ta\n",
        ", line 1: the header names no score column",
    ),
    "pair twice": (
        "1\ta\t0.5\n2\ta\t0.5\n1\ta\t0.25\n",
        ", line 3: duplicate product 'a' for query '1' (first in line 1)",
    ),
    "submission short": (
        "query-id,product1,product2\n1,a\n",
        ", line 2: 2 columns, where the header has 3",
    ),
    "submission gap": (
        "query-id,product1,product2\n1,a,\n",
        ", line 2, column 3: empty product id",
    ),
    "submission twice": (
        "query-id,product1\n1,a\n1,b\n",
        ", line 3, column 1: duplicate query '1'",
    ),
    "submission repeats": (
        "query-id,product1,product2\n1,a,a\n",
        ", line 2: duplicate product 'a' for query '1'",
    ),
}


def rejection(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_run(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=BAD)
def test_rejected_with_a_message(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "run"
    path.write_text(text)
    assert words in rejection(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"1\ta\t0.5\n1\t\xff\t0.5\n", ", line 2: not UTF-8 text"),
        (b"1\ta\t0.5\n\x00\x01", ", line 2: binary data, not text"),
        (gzip.compress(b"1\ta\t0.5\n" * 50)[:-12], ": broken gzip stream"),
        (gzip.compress(b"1\ta\t0.5\n" * 50)[:30] + b"junk" * 9, ": broken gzip stream"),
        (b"\x1f\x8b", ": broken gzip stream"),
    ],
)
def test_bad_bytes(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "run"
    path.write_bytes(data)
    assert words in rejection(path)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    assert rejection(tmp_path / "none").endswith("none: no such file or directory")
    assert rejection(tmp_path).endswith(": is a directory")


def read_or_reject(path: Path) -> None:
    """Nothing but an `InputError` of one line may come of any bytes."""
    message = ""
    try:
        read_run(path)
    except InputError as error:
        message = str(error)
    assert "\n" not in message


@given(data=st.binary(max_size=200))
def test_junk_never_crashes(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("junk") / "run"
    path.write_bytes(data)
    read_or_reject(path)


@given(seed=st.integers(0, 10**6))
def test_damaged_json_never_crashes(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    chance = random.Random(seed)
    text = list(json.dumps({"1": [["a", 0.5], ["b", 2]], "2": {"c": 1.0}}))
    for _ in range(chance.randint(1, 4)):
        text[chance.randrange(len(text))] = chance.choice('[]{}",:1e-N\\x')
    path = tmp_path_factory.mktemp("damaged") / "run"
    path.write_text("".join(text))
    read_or_reject(path)
