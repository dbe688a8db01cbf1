"""Correction of misspelt words: edits, splits, joins, and what is never changed."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from shopsight.search.correction import Corrector
from shopsight.search.searcher import Searcher

CORRECTOR = Corrector(
    {
        "red": 20, "dress": 9, "dressing": 1, "shoe": 7, "handbag": 4, "leopard": 3, "print": 3,
        "turquoise": 2, "bed": 30, "ab-12": 1, "größe": 2, "hat": 5, "that": 1,
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("query", "corrected"),
    [
        ("red drses", "red dress"),
        ("red dres", "red dress"),
        ("red dresss", "red dress"),
        ("red drezs", "red dress"),
        ("tuqrouise hat", "turquoise hat"),
        ("torquoize", "turquoise"),  # two edits of a long word
        ("reddress", "red dress"),
        ("leopardprint shoes", "leopard print shoes"),
        ("hand bag", "handbag"),
        ("GRÖSE", "größe"),
        ("drses, red", "dress red"),
        ("xed", "bed"),  # the more frequent of two equally near words
    ],
)
def test_misspelt_words(query: str, corrected: str) -> None:
    assert CORRECTOR.correct(query) == corrected


@pytest.mark.parametrize(
    "query",
    [
        "red dresses", "RED  Dress", "dressing", "ab-12", "ab-13", "xyz99", "qwzxv", "", " ", "re",
        "红色 连衣裙", "drezz", "hat 12", "d00031", "…", "red's", "😀 \ud800",
    ],
)  # fmt: skip
def test_what_is_not_changed(query: str) -> None:
    assert CORRECTOR.correct(query) == query


def test_a_huge_word_takes_little_memory() -> None:
    tracemalloc.start()
    assert CORRECTOR.correct("x" * 100_000) == "x" * 100_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_an_empty_dictionary_changes_nothing() -> None:
    assert Corrector({}).correct("red drses") == "red drses"


def test_searches_are_corrected_unless_as_written(index: Path) -> None:
    searcher = Searcher.open(index)
    word = max(searcher._models.known_words, key=lambda text: (text.isalpha(), len(text)))
    assert len(word) >= 5
    wrong = word[0] + word[2] + word[1] + word[3:]
    assert wrong != word
    results = searcher.search(wrong, 5)
    assert (results.query, results.corrected) == (wrong, word)
    assert results.unknown_words == ()
    assert [hit.product_id for hit in results.hits] == [
        hit.product_id for hit in searcher.search(word, 5).hits
    ]
    as_written = searcher.search(wrong, 5, correct=False)
    assert (as_written.corrected, as_written.unknown_words) == ("", (wrong,))
    assert searcher.search(word, 5).corrected == ""
