"""Words of the products' texts: coverage by hand, fitted weight, and searches of a real index."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from shopsight.data.dataset import PreparedData
from shopsight.search.index import add_products, remove_products
from shopsight.search.lexical import TermIndex, fit_text_weight, match_texts, write_terms
from shopsight.search.searcher import Searcher

FIELDS = pa.table(
    {
        "Title": ["Nike red shoes", "red dress, red", None, "blue Nike sock"],
        "sku": ["AB-1", "AB-2", "AB-3", "ab-1"],
        "colour": ["secret"] * 4,
        "ean": [1, 2, 3, None],
    }
)


def indexed(folder: Path, fields: pa.Table = FIELDS) -> TermIndex | None:
    write_terms(folder, fields, ("title", "sku", "ean"))
    return TermIndex.open(folder)


def test_rows_by_term(tmp_path: Path) -> None:
    index = indexed(tmp_path)
    assert index is not None
    rows = index.rows(["nike", "shoe", "red", "ab-1", "secret", "3", "", "nik"])
    assert [found.tolist() for found in rows] == [[0, 3], [0], [0, 1], [0, 3], [], [2], [], []]
    assert dict(index.counts())["ab-1"] == 2
    (tmp_path / "none").mkdir()
    assert indexed(tmp_path / "none", pa.table({"price": [1.0]})) is None


def test_coverage_by_hand(tmp_path: Path) -> None:
    """Of four products, two hold nike (idf log 2) and one sock (idf log(1 + 3.5 / 1.5))."""
    index, alive = indexed(tmp_path), np.ones(4, bool)
    assert index is not None

    def match(query: str, alive: np.ndarray = alive) -> tuple[list[int], ...]:
        found = match_texts(query, [(0, index)], alive, lambda term: term == "red")
        return found.rows.tolist(), found.known.tolist(), found.new.tolist(), found.whole.tolist()

    nike, sock = np.log(2), np.log1p(3.5 / 1.5)
    assert match("red nike socks zzz") == (
        [0, 1, 3],
        [1.0, 1.0, 0.0],
        [pytest.approx(nike / (nike + sock)), 0.0, 1.0],
        [False, False, False],
    )
    assert match("Nike RED") == ([0, 1, 3], [1, 1, 0], [1, 0, 1], [True, False, False])
    assert match("zzz") == match("") == ([], [], [], [])
    assert match("sock", np.array([True, True, True, False])) == ([], [], [], [])


def test_rows_of_several_segments_follow_each_other(tmp_path: Path) -> None:
    first, second = indexed(tmp_path), indexed(tmp_path)
    found = match_texts("sock", [(0, first), (4, second)], np.ones(8, bool), lambda _: False)
    assert found.rows.tolist() == [3, 7]


def test_a_weight_must_gain_on_held_out_queries() -> None:
    cosine, text = np.array([0.5, 0.45, 0.1]), np.array([0.0, 1.0, 0.0])
    second, first = np.array([False, True, False]), np.array([True, False, False])
    assert fit_text_weight([cosine] * 4, [text] * 4, [second] * 4) == 0.1
    assert fit_text_weight([cosine] * 4, [text] * 4, [first] * 4) == 0.0
    # A gain in one half of the queries only is luck.
    assert fit_text_weight([cosine] * 4, [text] * 4, [second, first, second, first]) == 0.0
    assert fit_text_weight([], [], []) == 0.0


@pytest.mark.parametrize("rerank", [True, False])
def test_exact_ids_and_new_words_come_first(index: Path, rerank: bool) -> None:
    searcher = Searcher.open(index)
    every, compared = searcher.search("", 700).hits, 0
    for hit in every[::60]:
        exact = searcher.search(f" {hit.product_id} ", 3, rerank=rerank).hits[0]
        assert exact.product_id == hit.product_id
        number = hit.fields["title"].split()[1]  # of "thing 17"
        if searcher._models.knows_term(number):
            continue
        compared += 1
        first = searcher.search(f"red {number}", 3, rerank=rerank).hits[0]
        assert first.product_id == hit.product_id
        assert first.contributions["text"] > 0
        assert sum(first.contributions.values()) == pytest.approx(first.score, abs=1e-6)
    assert compared >= 5
    filtered = searcher.search(every[0].product_id, 700, filters={"category": "nothing"})
    assert filtered.hits == ()


def test_words_follow_the_changes_of_an_index(
    own_index: Path, subset: Callable[..., PreparedData]
) -> None:
    searcher = Searcher.open(own_index)

    def found() -> list[str]:
        hits = searcher.search("frobnicator", 7).hits
        return [hit.product_id for hit in hits if "frob" in hit.fields["title"]]

    assert found() == []
    data = subset(0, 5, word="frobnicator", suffix="x")
    add_products(own_index, data)
    assert sorted(found()) == sorted(data.products)
    remove_products(own_index, data.products[:2])
    assert sorted(found()) == sorted(data.products[2:])
