"""Pages of a real index: offsets, the cut-off, totals, facets, sorting and browsing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopsight.config import IndexConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import UsageError
from shopsight.inference.run_folder import RunFolder
from shopsight.search.errors import FilterError
from shopsight.search.index import build_index
from shopsight.search.manifest import read_generation
from shopsight.search.searcher import Searcher
from shopsight.search.snapshot import Snapshot


@pytest.fixture(scope="module")
def cut_index(
    mixed_run: RunFolder, shop_data: PreparedData, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An index with a cut-off, which keeps half of the relevant validation products."""
    folder = tmp_path_factory.mktemp("cut") / "index"
    build_index(mixed_run, shop_data, folder, IndexConfig(precision="float32", match_recall=0.5))
    return folder


def test_the_cutoff_is_a_quantile_of_relevant_cosines(
    cut_index: Path, shop_data: PreparedData
) -> None:
    searcher, snapshot = Searcher.open(cut_index), Snapshot.current(cut_index)
    queries, relevance = shop_data.queries("valid"), shop_data.qrels("valid").relevance
    cosines = []
    for query_id, vector in zip(queries.ids, searcher.query_vectors(queries.texts), strict=True):
        products = [name for name, grade in relevance[query_id].items() if grade > 0]
        cosines += (snapshot.vectors(snapshot.rows_of(products)) @ vector).tolist()
    cutoff = read_generation(cut_index).cutoff
    assert cutoff == pytest.approx(float(np.median(cosines)), abs=1e-5)


def test_hits_and_total_are_the_matches(cut_index: Path, shop_data: PreparedData) -> None:
    searcher, snapshot = Searcher.open(cut_index), Snapshot.current(cut_index)
    cutoff = read_generation(cut_index).cutoff
    for query in shop_data.queries("valid").texts[:5]:
        cosines = snapshot.vectors(np.arange(len(snapshot))) @ searcher.query_vectors([query])[0]
        # The vector index is float16: a product right at the cut-off may be on either side.
        least = set(snapshot.ids(np.flatnonzero(cosines >= cutoff + 1e-3)))
        most = set(snapshot.ids(np.flatnonzero(cosines >= cutoff - 1e-3)))
        for options in ({}, {"rerank": False}, {"sort": "price"}):
            results = searcher.search(query, 1000, **options)
            matches = {hit.product_id for hit in results.hits}
            assert least <= matches <= most
            assert results.total == len(matches)
        filtered = searcher.search(query, 1000, filters={"category": "Shoes"}, facets=True)
        assert filtered.total == len(filtered.hits)
        assert {hit.product_id for hit in filtered.hits} <= most
        category = next(facet for facet in filtered.facets if facet.name == "category")
        assert category.values["Shoes"] == filtered.total
        assert len(least) <= sum(category.values.values()) <= len(most)


@pytest.mark.parametrize("options", [{}, {"rerank": False}, {"sort": "-price"}])
def test_pages_are_slices_of_the_whole(index: Path, options: dict[str, object]) -> None:
    searcher = Searcher.open(index)
    whole = searcher.search("red shoe", 1000, candidates=40, **options)
    assert len(whole.hits) == whole.total
    scores = [hit.score for hit in whole.hits]
    if not options:
        assert np.diff(scores).max() <= 1e-12  # the sums of contributions are rounded
        assert all(sum(hit.contributions.values()) == pytest.approx(hit.score, abs=1e-6)
                   for hit in whole.hits)  # fmt: skip
    for start in range(0, 120, 25):
        page = searcher.search("red shoe", 25, offset=start, candidates=40, **options)
        assert [hit.product_id for hit in page.hits] == [
            hit.product_id for hit in whole.hits[start : start + 25]
        ]
        assert (page.offset, page.total) == (start, whole.total)
    assert searcher.search("red shoe", 5, offset=whole.total).hits == ()
    similar = searcher.similar(whole.hits[0].product_id, 10)
    later = searcher.similar(whole.hits[0].product_id, 5, offset=5)
    assert later.hits == similar.hits[5:]
    assert similar.total == whole.total - 1


def test_a_blank_query_browses(index: Path) -> None:
    searcher = Searcher.open(index)
    first, second = searcher.search("", 10), searcher.search(" \t", 10, offset=10)
    snapshot = Snapshot.current(index)
    ids = [hit.product_id for hit in (*first.hits, *second.hits)]
    assert ids == snapshot.ids(np.arange(20))
    assert first.total == len(snapshot)
    cheapest = searcher.search("", 50, sort="price", filters={"category": ["Shoes", "Bags"]})
    prices = [hit.fields["price"] for hit in cheapest.hits]
    assert prices == sorted(prices)
    assert {hit.fields["category"] for hit in cheapest.hits} == {"Shoes", "Bags"}
    mixed = searcher.search_many(["red shoe", "", "red shoe"], 3)
    single = [hit.product_id for hit in searcher.search("red shoe", 3).hits]
    for results in (mixed[0], mixed[2]):
        assert [hit.product_id for hit in results.hits] == single


def test_invalid_pages(index: Path) -> None:
    searcher = Searcher.open(index)
    with pytest.raises(FilterError, match="unknown field 'prise'; did you mean 'price'"):
        searcher.search("red", sort="-prise")
    with pytest.raises(UsageError, match="offset must be at least 0, not -1"):
        searcher.search("red", offset=-1)
    with pytest.raises(UsageError, match=r"offset \+ k must be at most 10,000, not 10,010"):
        searcher.search("red", offset=10_000)
