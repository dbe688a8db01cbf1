"""Queries of many clients are searched together, and none spoils another's."""

from __future__ import annotations

import threading
from concurrent.futures import wait
from typing import Any

import pytest

from drawnshop import DrawnShop
from shopsight.search.results import Results
from shopsight.web.batching import Batcher, ClosedError, Options


def test_answers_are_those_of_single_searches() -> None:
    shop = DrawnShop()
    batcher = Batcher(shop.search_many, most=8, wait=0.05)
    queries = [
        f"{colour} {kind}" for colour in ("red", "teal", "white") for kind in ("hat", "boots")
    ]
    futures = [batcher.submit(query, Options(k=5, explain=True)) for query in queries]
    found = [future.result(10) for future in futures]
    batcher.close()
    assert found == [DrawnShop().search(query, 5, explain=True) for query in queries]
    assert shop.threads == {"search"}


def test_what_waits_is_searched_together() -> None:
    shop = DrawnShop()
    shop.hold.clear()
    sizes: list[int] = []
    batcher = Batcher(shop.search_many, most=4, wait=0, observe=sizes.append)
    first = batcher.submit("red", Options())
    while not shop.batches:  # the first batch is under way, and held
        threading.Event().wait(0.001)
    others = [batcher.submit("navy", Options()) for _ in range(6)]
    assert batcher.waiting == 6
    shop.hold.set()
    wait([first, *others], 10)
    batcher.close()
    assert shop.batches == sizes == [1, 4, 2]


def test_only_queries_that_agree_share_a_batch() -> None:
    asked: list[tuple[list[str], int, Any]] = []

    def search_many(queries: list[str], k: int, **options: Any) -> list[Results]:
        asked.append((queries, k, options["filters"]))
        return [Results(query, ()) for query in queries]

    batcher = Batcher(search_many, most=10, wait=0.2)
    options = [Options(k=5), Options(k=7), Options(k=5), Options(5, (("kind", "hat"),))]
    futures = [batcher.submit(str(i), one) for i, one in enumerate(options)]
    assert [future.result(10).query for future in futures] == ["0", "1", "2", "3"]
    batcher.close()
    assert sorted(asked, key=str) == [
        (["0", "2"], 5, None), (["1"], 7, None), (["3"], 5, {"kind": "hat"}),
    ]  # fmt: skip


def test_a_query_that_fails_fails_alone() -> None:
    batcher = Batcher(DrawnShop().search_many, most=10, wait=0.2)
    good, bad = batcher.submit("red", Options()), batcher.submit("!crash", Options())
    assert good.result(10).hits
    with pytest.raises(RuntimeError, match="broken"):
        bad.result(10)
    batcher.close()


def test_a_query_nobody_waits_for_is_not_searched() -> None:
    shop = DrawnShop()
    shop.hold.clear()
    batcher = Batcher(shop.search_many, most=1, wait=0)
    first = batcher.submit("red", Options())
    while not shop.batches:
        threading.Event().wait(0.001)
    given_up, last = batcher.submit("navy", Options()), batcher.submit("teal", Options())
    assert given_up.cancel()
    shop.hold.set()
    wait([first, last], 10)
    batcher.close()
    assert len(shop.batches) == 2


def test_closing_answers_what_is_queued_and_takes_no_more() -> None:
    shop = DrawnShop(delay=0.02)
    batcher = Batcher(shop.search_many, most=2, wait=10)
    futures = [batcher.submit("red", Options()) for _ in range(5)]
    batcher.close()
    assert [bool(future.result(0).hits) for future in futures] == [True] * 5
    with pytest.raises(ClosedError):
        batcher.submit("red", Options())
