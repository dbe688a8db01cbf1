"""Dynamic batching: grouping, isolation of failures, cancellation and shutdown."""

from __future__ import annotations

import threading
from concurrent.futures import wait
from typing import Any

import pytest

from fakeshop import FakeShop
from shopsight.search.options import SearchOptions
from shopsight.search.results import Results
from shopsight.web.batching import Batcher, ClosedError


def test_results_equal_those_of_single_searches() -> None:
    shop = FakeShop()
    batcher = Batcher(shop.search_many, batch_size=8, wait=0.05)
    queries = [
        f"{colour} {kind}" for colour in ("red", "teal", "white") for kind in ("hat", "boots")
    ]
    futures = [batcher.submit(query, SearchOptions(k=5, explain=True)) for query in queries]
    results = [future.result(10) for future in futures]
    batcher.close()
    assert results == [FakeShop().search(query, 5, explain=True) for query in queries]
    assert shop.threads == {"search"}


def test_queued_queries_are_searched_together() -> None:
    shop = FakeShop()
    shop.hold.clear()
    sizes: list[int] = []
    batcher = Batcher(shop.search_many, batch_size=4, wait=0, observe=sizes.append)
    first = batcher.submit("red", SearchOptions())
    while not shop.batches:  # until the first batch is being searched, and held
        threading.Event().wait(0.001)
    others = [batcher.submit("navy", SearchOptions()) for _ in range(6)]
    assert batcher.waiting == 6
    shop.hold.set()
    wait([first, *others], 10)
    batcher.close()
    assert shop.batches == sizes == [1, 4, 2]


def test_only_queries_with_equal_options_share_a_batch() -> None:
    calls: list[tuple[list[str], int, Any]] = []

    def search_many(queries: list[str], k: int, **options: Any) -> list[Results]:
        calls.append((queries, k, options["filters"]))
        return [Results(query, ()) for query in queries]

    batcher = Batcher(search_many, batch_size=10, wait=0.2)
    filtered = SearchOptions(5, filters={"kind": "hat"})
    options = [SearchOptions(k=5), SearchOptions(k=7), SearchOptions(k=5), filtered]
    futures = [batcher.submit(str(i), option) for i, option in enumerate(options)]
    assert [future.result(10).query for future in futures] == ["0", "1", "2", "3"]
    batcher.close()
    assert sorted(calls, key=str) == [
        (["0", "2"], 5, ()), (["1"], 7, ()), (["3"], 5, (("kind", ("hat",)),)),
    ]  # fmt: skip


def test_a_failing_query_does_not_fail_its_batch() -> None:
    batcher = Batcher(FakeShop().search_many, batch_size=10, wait=0.2)
    good = batcher.submit("red", SearchOptions())
    bad = batcher.submit("!crash", SearchOptions())
    assert good.result(10).hits
    with pytest.raises(RuntimeError, match="broken"):
        bad.result(10)
    batcher.close()


def test_a_cancelled_query_is_not_searched() -> None:
    shop = FakeShop()
    shop.hold.clear()
    batcher = Batcher(shop.search_many, batch_size=1, wait=0)
    first = batcher.submit("red", SearchOptions())
    while not shop.batches:
        threading.Event().wait(0.001)
    cancelled = batcher.submit("navy", SearchOptions())
    last = batcher.submit("teal", SearchOptions())
    assert cancelled.cancel()
    shop.hold.set()
    wait([first, last], 10)
    batcher.close()
    assert len(shop.batches) == 2


def test_close_answers_queued_queries_and_rejects_new_ones() -> None:
    shop = FakeShop(delay=0.02)
    batcher = Batcher(shop.search_many, batch_size=2, wait=10)
    futures = [batcher.submit("red", SearchOptions()) for _ in range(5)]
    batcher.close()
    assert [bool(future.result(0).hits) for future in futures] == [True] * 5
    with pytest.raises(ClosedError):
        batcher.submit("red", SearchOptions())
