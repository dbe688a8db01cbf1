"""Milvus gives the results of the embedded retriever, also filtered and after changes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from shopsight.data.dataset import PreparedData
from shopsight.errors import DataError, UsageError
from shopsight.search.index import remove_products, update_products
from shopsight.search.retrievers.factory import load_retriever, open_retriever
from shopsight.search.searcher import Searcher
from shopsight.search.snapshot import Snapshot

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
lite = pytest.mark.skipif(
    find_spec("milvus_lite") is None or find_spec("pymilvus") is None,
    reason="needs pymilvus and milvus-lite: pip install 'shopsight[milvus]'",
)
FILTERS = (
    {},
    {"category": "shoes"},
    {"category": 'ünïcode "q" \\ x'},
    {"price": "20..60", "in_stock": "true"},
    {"stars": ">4"},
    {"price": "<20", "stars": "3"},
    {"title": "thing 3"},
    {"added": "2024-02..2024-05", "tags": "sale"},
    {"added": ">2024-06-15", "-tags": ("c1", "c3")},
)


def assert_same(index: Path, url: str, queries: list[str]) -> None:
    own, other = Searcher.open(index), Searcher.open(index, url)
    try:
        for filters in FILTERS:
            for options in ({"rerank": False}, {"candidates": 40}):
                expected = own.search_many(queries, 8, filters=filters, **options)
                results = other.search_many(queries, 8, filters=filters, **options)
                for want, got in zip(expected, results, strict=True):
                    assert [h.product_id for h in got.hits] == [h.product_id for h in want.hits]
                    assert [h.score for h in got.hits] == pytest.approx(
                        [h.score for h in want.hits], abs=1e-3
                    )
        first = own.search(queries[0], 1).hits[0].product_id
        near = [h.product_id for h in other.similar(first, 5).hits]
        assert near == [h.product_id for h in own.similar(first, 5).hits]
        assert other.info()["engine"] == "milvus"
    finally:
        other.close()


@lite
def test_milvus_lite_equals_the_embedded_retriever(
    own_index: Path, shop_data: PreparedData, tmp_path: Path
) -> None:
    url, queries = str(tmp_path / "engine.db"), shop_data.queries("valid").texts[:4]
    with pytest.raises(
        DataError,
        match="holds 0 of the index's 654 products; run: shopsight index load INDEX",
    ):
        Searcher.open(own_index, url)
    assert load_retriever(url, own_index) == len(shop_data.store)
    assert_same(own_index, url, queries)
    remove_products(own_index, shop_data.products[:200])
    with pytest.raises(
        DataError, match="milvus holds 654 of the index's 454 products; run: shopsight"
    ):
        Searcher.open(own_index, url)
    assert load_retriever(url, own_index) == 454
    assert_same(own_index, url, queries)
    update_products(own_index, shop_data)
    assert load_retriever(url, own_index) == len(shop_data.store)
    assert_same(own_index, url, queries)
    assert load_retriever(url, own_index) == len(shop_data.store)


@lite
@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://user:secret@127.0.0.1:9"])
def test_an_unreachable_server(url: str, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shopsight.search.retrievers.milvus._TIMEOUT", 1.0)
    with pytest.raises(UsageError, match="Milvus request failed") as caught:
        open_retriever(url, Snapshot.current(index))
    assert "secret" not in str(caught.value)


@pytest.mark.slow
def test_a_real_server_equals_the_embedded_retriever(index: Path, tmp_path: Path) -> None:
    """PyPI's ``milvus`` contains the server, which runs in a network namespace of its own."""
    if find_spec("milvus") is None:
        pytest.skip("needs the server: pip install milvus==2.3.5")
    alone = ["unshare", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("needs unshare, to keep the server on loopback")
    own = shutil.copytree(index, tmp_path / "own")
    script = Path(__file__).with_name("milvus_server.py")
    words = [sys.executable, str(script), str(own), str(tmp_path), "red shoe", "small bag"]
    command = [*alone, "sh", "-c", 'ip link set lo up; exec "$@"', "sh", *words]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed["loaded"] == [654, 653]
    assert len(printed["found"]) == 6
    for embedded, server in printed["found"]:
        for expected, ids in zip(embedded, server, strict=True):
            assert len(set(expected) & set(ids)) >= 9
