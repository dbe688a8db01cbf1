"""Pools from score files and from tables of queries and products."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from shopsight.errors import InputError
from shopsight.formats.candidates import read_candidates

NINE = "product_id\timage_h\timage_w\tnum_boxes\tboxes\tfeatures\tclass_labels\tquery\tquery_id\n"


def test_score_file_with_a_repeated_product(tmp_path: Path) -> None:
    path = tmp_path / "scores.tsv"
    path.write_text("1\ta\t0.5\n2\tb\t0.5\n1\ta\t0.25\n")
    candidates = read_candidates(path)
    assert candidates.pools.of("1") == ["a", "a"]
    assert candidates.texts is None


def test_three_columns(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("query_id\tquery\tproduct_id\n1\tred shoes\ta\n2\t\tb\n1\tred shoes\tb\n")
    candidates = read_candidates(path)
    assert candidates.pools.query_ids == ("1", "2")
    assert candidates.pools.of("1") == ["a", "b"]
    assert candidates.texts == {"1": "red shoes", "2": ""}


def test_without_texts(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("query_id\tproduct_id\n1\ta\n")
    assert read_candidates(path).texts is None


@pytest.mark.parametrize("packed", [False, True])
def test_the_competition_file_is_taken_literally(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "valid.tsv"
    row = "{p}\t1\t2\t1\tAAAA\tBBBB\tCCCC\t{q}\t{i}\r\n"
    text = NINE + row.format(p=5, q='a "quote', i=1) + row.format(p=6, q="tab\t here\t", i=2)
    path.write_bytes(gzip.compress(text.encode()) if packed else b"\xef\xbb\xbf" + text.encode())
    candidates = read_candidates(path)
    assert (candidates.pools.of("1"), candidates.pools.of("2")) == (["5"], ["6"])
    assert candidates.texts == {"1": 'a "quote', "2": "tab\t here\t"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"query_id\tproduct_id\n1\ta\tb\n", ", line 2: 3 columns, where the header has 2"),
        (b"query_id\tproduct_id\n1\ta\n1\n", ", line 3: 1 column, where the header has 2"),
        (b"query_id\tproduct_id\n1\t\n", ", line 2, column 2: empty product id"),
        (b"query_id\tproduct_id\n1\t\xff\n", ", line 2: not UTF-8 text"),
        (b"query_id\tproduct_id\n", ": no candidates below the header"),
        (gzip.compress(b"query_id\tproduct_id\n1\ta\n" * 99)[:-9], ": broken gzip stream"),
        (b"", ": the file is empty"),
    ],
)
def test_rejected_with_a_message(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_candidates(path)
    assert words in str(caught.value)
