"""Queries of many clients searched together: one thread, one batch of words for the models."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from shopsight.search.results import Results


@dataclass(frozen=True)
class Options:
    """What a search is asked beside its words; queries that agree in it share a batch.

    Attributes:
        k: most hits.
        filters: (field, value) pairs.
        depth: candidates ranked again; the index's own number if None.
        recall_only: leave out the ranking.
        explain: say why.
    """

    k: int = 10
    filters: tuple[tuple[str, str], ...] = ()
    depth: int | None = None
    recall_only: bool = False
    explain: bool = False


@dataclass(frozen=True)
class _Asked:
    query: str
    options: Options
    future: Future[Results]


class ClosedError(RuntimeError):
    """The server is stopping and takes no further query."""


class Batcher:
    """Collects queries that arrive together and searches them at once.

    While a batch is searched the next one gathers, so the busier the server, the larger its
    batches; a lone query waits ``wait`` seconds and no longer.

    Args:
        search_many: `Searcher.search_many`.
        most: queries of one batch at most.
        wait: seconds that the first query of a batch waits for others.
        observe: is told the size of every batch.
    """

    def __init__(
        self,
        search_many: Callable[..., list[Results]],
        most: int,
        wait: float,
        observe: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._search_many, self._most, self._wait = search_many, most, wait
        self._observe = observe
        self._queue: deque[_Asked] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="search", daemon=True)
        self._thread.start()

    def submit(self, query: str, options: Options) -> Future[Results]:
        """Queue a query; a future that is cancelled before its batch begins is never searched.

        Raises:
            ClosedError: after `close`.
        """
        asked = _Asked(query, options, Future())
        with self._changed:
            if self._closed:
                raise ClosedError
            self._queue.append(asked)
            self._changed.notify()
        return asked.future

    @property
    def waiting(self) -> int:
        """Queries that no batch has taken yet."""
        return len(self._queue)

    def close(self) -> None:
        """Answer what is queued, take nothing more, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._take():
            alike: dict[Options, list[_Asked]] = {}
            for asked in batch:
                if asked.future.set_running_or_notify_cancel():
                    alike.setdefault(asked.options, []).append(asked)
            for options, group in alike.items():
                self._observe(len(group))
                self._answer(options, group)

    def _take(self) -> list[_Asked]:
        """The next batch; empty once closed and drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            until = time.monotonic() + self._wait
            while len(self._queue) < self._most and not self._closed:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            count = min(self._most, len(self._queue))
            return [self._queue.popleft() for _ in range(count)]

    def _answer(self, options: Options, group: Sequence[_Asked]) -> None:
        try:
            found = self._search([asked.query for asked in group], options)
        except Exception as error:
            if len(group) == 1:
                group[0].future.set_exception(error)
                return
            for asked in group:  # one query must not spoil the others'
                self._answer(options, [asked])
            return
        for asked, results in zip(group, found, strict=True):
            asked.future.set_result(results)

    def _search(self, queries: list[str], options: Options) -> list[Results]:
        arguments: dict[str, Any] = {
            "filters": dict(options.filters) or None,
            "candidates": options.depth,
            "rerank": not options.recall_only,
            "explain": options.explain,
        }
        return self._search_many(queries, options.k, **arguments)
