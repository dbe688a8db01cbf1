"""Searcher: unusual queries, explanations, similar products, threads."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shopsight import scoring
from shopsight.data.dataset import PreparedData
from shopsight.errors import UsageError
from shopsight.inference.attention import AttentionWeights
from shopsight.inference.run_folder import RunFolder
from shopsight.search.errors import UnknownProductError
from shopsight.search.searcher import Searcher
from shopsight.search.snapshot import Snapshot

UNUSUAL = [
    "", " ", "\0", "\ud800", "a\ud800b", "😀", "\u202e abc", "’“”", "ﷺ" * 50, "x" * 100_000,
    "word " * 20_000, "the and of", "ÄÖÜ ß ẞ İ ı", "e\u0301" * 30, "\x1b[31m red", "红色 鞋",
    "%00 %s {} ${x} ; drop table", "\n\t\r", "\ufeff", "\uffff\U0010ffff", "-" * 300, "1e309 nan",
]  # fmt: skip


@pytest.fixture(scope="module")
def searcher(index: Path) -> Searcher:
    return Searcher.open(index)


@pytest.mark.parametrize("query", UNUSUAL, ids=range(len(UNUSUAL)))
def test_unusual_queries(query: str, searcher: Searcher) -> None:
    results = searcher.search(query, 3, candidates=20, explain=True)
    assert len(results.hits) == 3
    assert np.isfinite([hit.score for hit in results.hits]).all()
    json.dumps(results.to_dict(), allow_nan=False, ensure_ascii=False).encode()


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.one_of(st.text(), st.binary().map(lambda b: b.decode("utf-8", "surrogateescape"))))
def test_any_text_is_a_query(searcher: Searcher, query: str) -> None:
    results = searcher.search(query, 2, candidates=5, explain=True)
    assert len(results.hits) == 2  # browsed, if the query is blank
    json.dumps(results.to_dict(), allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "options", [{"k": 0}, {"k": -1}, {"candidates": -3}, {"k": 0, "candidates": 5}]
)
def test_numbers_below_one(options: dict[str, int], searcher: Searcher) -> None:
    with pytest.raises(UsageError, match="must be at least 1"):
        searcher.search("red shoe", **options)


def test_no_queries_give_no_results(searcher: Searcher) -> None:
    assert searcher.search_many([]) == []


def test_unknown_words_are_named(searcher: Searcher, shop_data: PreparedData) -> None:
    known = shop_data.queries("train").texts[0].split()[-1]
    results = searcher.search(f"{known} zzyzx Qwrtpl the 😀 zzyzx", 1, explain=True)
    assert results.unknown_words == ("zzyzx", "Qwrtpl")
    words = results.hits[0].explanation.words
    assert [word.word for word in words] == [known, "zzyzx", "Qwrtpl", "the", "😀", "zzyzx"]
    assert [word.known for word in words[:4]] == [True, False, False, True]


def test_explanations_are_those_of_training(
    searcher: Searcher, index: Path, mixed_run: RunFolder, shop_data: PreparedData
) -> None:
    query = shop_data.queries("valid").texts[1]
    results = searcher.search(query, 6, explain=True)
    attention = AttentionWeights(mixed_run, shop_data, "cpu")
    snapshot = Snapshot.current(index)
    for hit in results.hits:
        shown = attention.words(query, hit.product_id)
        words = hit.explanation.words
        assert [word.word for word in words] == [text for text, _ in shown]
        assert [word.weight for word in words] == pytest.approx([w for _, w in shown], abs=1e-5)
        row = snapshot.row_of(hit.product_id)
        assert hit.explanation.boxes == snapshot.boxes(row)
        for word in words:
            assert (word.match is None) == (word.weight == 0)
            if word.region is not None:
                assert 0 <= word.region < len(hit.explanation.boxes)


def test_regions_sum_to_the_match(searcher: Searcher, index: Path) -> None:
    snapshot, rows = Snapshot.current(index), np.array([3, 40, 7])
    model, products = searcher._models.model("word-match"), snapshot.encodings("word-match", rows)
    with torch.inference_mode():
        queries = model.encode_queries(searcher._models.tokens(["red cotton shoe"]))
        attribution = model.attribute(queries, products, snapshot.regions(rows))
    for matches, by_region in zip(attribution.matches, attribution.by_region, strict=True):
        assert by_region.sum(1).tolist() == pytest.approx(matches.tolist(), abs=1e-4)
    similarities = scoring.max_sim(queries.words[0], products.heads)
    assert torch.allclose(attribution.matches, similarities, atol=1e-5)


def test_similar_products_exclude_the_product(searcher: Searcher, index: Path) -> None:
    snapshot = Snapshot.current(index)
    first = snapshot.ids(np.array([5]))[0]
    similar = searcher.similar(first, 4)
    cosines = snapshot.vectors(np.arange(len(snapshot))) @ snapshot.vectors(np.array([5]))[0]
    cosines[5] = -2
    order = np.argsort(-cosines, kind="stable")[:4]
    assert [hit.product_id for hit in similar.hits] == snapshot.ids(order)
    assert first not in [hit.product_id for hit in searcher.similar(first, 1000).hits]
    with pytest.raises(UnknownProductError):
        searcher.similar("nothing")
    with pytest.raises(UsageError, match="must be at least 1"):
        searcher.similar(first, 0)


def test_threads_share_a_searcher(searcher: Searcher, shop_data: PreparedData) -> None:
    queries = shop_data.queries("valid").texts[:8]

    def search(query: str) -> list[str]:
        return [hit.product_id for hit in searcher.search(query, 5).hits]

    expected = [search(query) for query in queries]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(search, queries)) == expected
