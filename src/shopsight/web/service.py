"""The searcher behind the routes: thread pools, batching, metrics and the query log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from fastapi import FastAPI

from shopsight.config import ServeConfig
from shopsight.search.results import Results
from shopsight.search.searcher import Searcher
from shopsight.web.batching import Batcher, ClosedError, SearchOptions
from shopsight.web.metrics import Metrics
from shopsight.web.querylog import QueryLog
from shopsight.web.responses import Json
from shopsight.web.security import Token

T = TypeVar("T")


class SearchService:
    """Runs the searcher's blocking calls off the event loop."""

    def __init__(
        self, searcher: Searcher, config: ServeConfig, token: Token, log: QueryLog | None
    ) -> None:
        self.searcher, self.config, self.token, self.log = searcher, config, token, log
        self.metrics = Metrics(
            lambda: float(searcher.info()["products"]), lambda: self._batcher.waiting
        )
        # Text queries go through the models in one thread: under load their batches grow, whereas
        # threads would compete for the cores. Reads have threads of their own, so that photos of a
        # result page never wait behind a search.
        self._batcher = Batcher(
            searcher.search_many, config.batch_size, config.batch_wait, self.metrics.batches.observe
        )
        self._vectors = ThreadPoolExecutor(2, "vectors")
        self._records = ThreadPoolExecutor(4, "records")

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """ASGI lifespan; at shutdown queued queries are answered, then the threads end."""
        yield
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        self._batcher.close()
        for pool in (self._vectors, self._records):
            pool.shutdown(cancel_futures=True)

    async def search(self, query: str, options: SearchOptions) -> Json:
        """Answer a text query with the next batch."""
        results = await asyncio.wrap_future(self._batcher.submit(query, options))
        if self.log is not None:
            self.log.log_search(query, [hit.product_id for hit in results.hits])
        return self._json(results)

    async def nearest(
        self, find: Callable[..., Results], item: Any, k: int, filters: dict[str, str] | None
    ) -> Json:
        """Answer with `Searcher.similar` (of an id) or `Searcher.search_photo` (of bytes)."""
        return self._json(await self._run(self._vectors, partial(find, filters=filters), item, k))

    async def read(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run a reading call of the searcher or the log."""
        return await self._run(self._records, work, *arguments)

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[..., T], *arguments: Any) -> T:
        try:
            future = pool.submit(work, *arguments)
        except RuntimeError:
            raise ClosedError from None
        return await asyncio.wrap_future(future)

    def _json(self, results: Results) -> Json:
        for stage, seconds in results.seconds.items():
            self.metrics.stages.labels(stage).observe(seconds)
        return Json(results.to_dict())
