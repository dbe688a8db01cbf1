"""Dynamic batching: concurrent queries are searched together, in one thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from shopsight.search.options import SearchOptions
from shopsight.search.results import Results


@dataclass(frozen=True)
class _Request:
    query: str
    options: SearchOptions
    future: Future[Results]


class ClosedError(RuntimeError):
    """The server is stopping and accepts no more requests."""


class Batcher:
    """Queue of queries that a thread searches in batches.

    The first query of a batch waits some seconds for others. While a batch is searched the next one
    accumulates, so batches grow with the load. ``observe`` receives the size of every batch.
    """

    def __init__(
        self,
        search_many: Callable[..., list[Results]],
        batch_size: int,
        wait: float,
        observe: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._search_many, self._batch_size, self._wait = search_many, batch_size, wait
        self._observe = observe
        self._queue: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="search", daemon=True)
        self._thread.start()

    def submit(self, query: str, options: SearchOptions) -> Future[Results]:
        """Queue a query; it is skipped if its future is cancelled before its batch starts."""
        request = _Request(query, options, Future())
        with self._changed:
            if self._closed:
                raise ClosedError
            self._queue.append(request)
            self._changed.notify()
        return request.future

    @property
    def waiting(self) -> int:
        """Number of queued queries."""
        return len(self._queue)

    @property
    def closed(self) -> bool:
        """Whether queries are rejected."""
        return self._closed

    def close(self) -> None:
        """Reject new queries, answer the queued ones and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next_batch():
            groups: dict[SearchOptions, list[_Request]] = {}
            for request in batch:
                # A timed-out client has cancelled its future: no time is spent on its query.
                if request.future.set_running_or_notify_cancel():
                    groups.setdefault(request.options, []).append(request)
            for options, group in groups.items():
                self._observe(len(group))
                self._answer(options, group)

    def _next_batch(self) -> list[_Request]:
        """The next batch; empty once closed and drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            deadline = time.monotonic() + self._wait
            while len(self._queue) < self._batch_size and not self._closed:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            count = min(self._batch_size, len(self._queue))
            return [self._queue.popleft() for _ in range(count)]

    def _answer(self, options: SearchOptions, group: Sequence[_Request]) -> None:
        try:
            results = self._search_many([request.query for request in group], **vars(options))
        except Exception as error:
            if len(group) == 1:
                group[0].future.set_exception(error)
                return
            # The failing query is not known: each is searched alone, so that one client's query
            # cannot fail those of others.
            for request in group:
                self._answer(options, [request])
            return
        for request, result in zip(group, results, strict=True):
            request.future.set_result(result)
