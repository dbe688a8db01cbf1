"""The searcher behind the routes: thread pools, batching, metrics and the query log."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from shopsight.config import ServeConfig
from shopsight.errors import OutputError
from shopsight.search.options import SearchOptions
from shopsight.search.results import Results
from shopsight.search.retrievers.base import EMBEDDED
from shopsight.search.searcher import Searcher
from shopsight.web.batching import Batcher, ClosedError
from shopsight.web.jsonlog import QueryLog
from shopsight.web.metrics import Metrics
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
        self._started, self._searches = time.monotonic(), 0
        self._vectors = ThreadPoolExecutor(2, "vectors")
        self._records = ThreadPoolExecutor(4, "records")
        self._writer = ThreadPoolExecutor(1, "writer")

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """ASGI lifespan; at shutdown queued queries are answered, then the threads end."""
        yield
        await asyncio.to_thread(self.stop)

    def stop(self) -> None:
        """Reject new queries, answer the queued ones, and end the threads."""
        self._batcher.close()
        for pool in (self._vectors, self._records, self._writer):
            pool.shutdown(cancel_futures=True)

    async def search(self, query: str, options: SearchOptions, *, log: bool) -> Json:
        """Answer a text query with the next batch."""
        results = await self._submit(query, options)
        answer = self._answer(results)
        if self.log is not None and log and query.strip():
            products = [hit.product_id for hit in results.hits]
            self.log.event("search", query, answer["search_id"], products=products)
        return self._json(answer, results.seconds)

    async def search_batch(self, queries: Sequence[str], options: SearchOptions) -> Json:
        """Answer several text queries, together with those of others."""
        results = await asyncio.gather(*(self._submit(query, options) for query in queries))
        return self._json({"results": [self._answer(item) for item in results]}, {})

    async def nearest(self, find: Callable[..., Results], item: Any, page: SearchOptions) -> Json:
        """Answer with `Searcher.similar` (of an id) or `Searcher.search_photo` (of bytes)."""
        names = ("offset", "filters", "facets")
        options = {name: getattr(page, name) for name in names}
        results = await self._run(self._vectors, partial(find, **options), item, page.k)
        return self._json(self._answer(results), results.seconds)

    async def change(self, work: Callable[..., object], *arguments: Any) -> None:
        """Change the index, one change after the other.

        Raises:
            HTTPException: 403 without a token, 409 with an engine of its own, 503 if another
                process changes the index.
        """
        if not self.token.required:
            raise HTTPException(403, "changes need a server that was started with --token-file")
        if self.searcher.info()["engine"] != EMBEDDED:
            raise HTTPException(409, "this engine is changed with `shopsight index load`")
        try:
            await self._run(self._writer, work, self.searcher.folder, *arguments)
        except OutputError:
            raise HTTPException(503, "the index is being changed; try again later",
                                {"retry-after": "5"}) from None  # fmt: skip

    async def read(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run a reading call of the searcher or the log."""
        return await self._run(self._records, work, *arguments)

    def stats(self) -> dict[str, Any]:
        """Counts of the index and of this process."""
        requests = sum(sample.value for metric in self.metrics.requests.collect()
                       for sample in metric.samples if sample.name.endswith("_total"))  # fmt: skip
        uptime = time.monotonic() - self._started
        return {"index": self.searcher.info(), "uptime": round(uptime, 3),
                "requests": int(requests), "searches": self._searches,
                "waiting": self._batcher.waiting}  # fmt: skip

    @property
    def ready(self) -> bool:
        """Whether searches are answered: not while stopping."""
        return not self._batcher.closed

    async def _submit(self, query: str, options: SearchOptions) -> Results:
        self._searches += 1
        return await asyncio.wrap_future(self._batcher.submit(query, options))

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[..., T], *arguments: Any) -> T:
        try:
            future = pool.submit(work, *arguments)
        except RuntimeError:
            raise ClosedError from None
        return await asyncio.wrap_future(future)

    def _answer(self, results: Results) -> dict[str, Any]:
        for stage, seconds in results.seconds.items():
            self.metrics.stages.labels(stage).observe(seconds)
        return results.to_dict() | {"search_id": uuid.uuid4().hex}

    def _json(self, content: dict[str, Any], seconds: Mapping[str, float]) -> Json:
        times = ", ".join(f"{name};dur={1000 * value:.2f}" for name, value in seconds.items())
        return Json(content, headers={"server-timing": times} if times else None)
