"""An index through the front door."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import shopsight as ss


@pytest.fixture(scope="module")
def index(
    trained: tuple[Path, str], small_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ss.Index]:
    pytest.importorskip("faiss")
    out = tmp_path_factory.mktemp("api") / "index"
    with ss.open_ranker(trained[0], "cpu").build_index(small_data, out) as index:
        yield index


def test_search(index: ss.Index, small_data: Path) -> None:
    results = index.search("red dress", k=3)
    assert len(results) == len(list(results)) == 3
    assert results[0].score >= results[1].score
    assert results.records()[0]["rank"] == 1
    assert results.to_dict()["query"] == "red dress"
    assert repr(results).startswith("SearchResults('red dress', products: 3 (")
    assert results._repr_html_().count("<tr>") == 4
    (again,) = index.search_many(["red dress"], k=3)
    assert [hit.product_id for hit in again] == [hit.product_id for hit in results]
    near = index.similar(results[0].product_id, k=2)
    assert results[0].product_id not in [hit.product_id for hit in near]
    assert index.stats()["products"] == len(ss.load(small_data).products)


def test_invalid_search(index: ss.Index, tmp_path: Path) -> None:
    with pytest.raises(ss.ShopsightError, match="no fields to filter by"):
        index.search("red", filters={"price": 50})
    with pytest.raises(ss.ShopsightError, match=r"none\.jpg"):
        index.search_photo(tmp_path / "none.jpg")
    with pytest.raises(ss.ShopsightError, match="not an index"):
        ss.open_index(tmp_path)


def test_changes(index: ss.Index, small_data: Path) -> None:
    data = ss.load(small_data)
    index.remove(data.products[:1])
    assert index.stats()["products"] == len(data.products) - 1
    index.update(data)
    assert index.stats()["products"] == len(data.products)
    with pytest.raises(ss.ShopsightError):
        index.add(data)
    index.compact()
    index.check()
    assert f"{len(data.products):,} products" in repr(ss.open_index(index.path))
