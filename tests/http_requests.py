"""Raw requests to an ASGI application, and a real server in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from shopsight.config import ServeConfig
from shopsight.web.app import create_app
from shopsight.web.server import listen, make_server, url_of

OWN = "http://127.0.0.1:8000"
EASY = ServeConfig(rate=0, batch_wait=0)


@contextmanager
def serve_in_thread(
    shop: Any, config: ServeConfig = EASY, token: str | None = None, log: Any = None
) -> Iterator[str]:
    listener = listen(replace(config, port=0))
    ready = threading.Event()
    server = make_server(create_app(shop, config, token, log), config, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    assert ready.wait(30)
    try:
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive()


async def asgi(
    app: Any,
    path: str,
    query: bytes = b"",
    method: str = "GET",
    headers: tuple[tuple[bytes, bytes], ...] = ((b"host", b"127.0.0.1"),),
    receive: Callable[[], Awaitable[dict[str, Any]]] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """Send a raw request, which an HTTP client would normalise."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode("utf-8", "replace"),
        "query_string": query, "root_path": "", "headers": list(headers),
        "client": ("127.0.0.1", 5000), "server": ("127.0.0.1", 8000), "state": {},
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def nothing() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive or nothing, send)
    start = sent[0]
    received = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return start["status"], received, b"".join(part.get("body", b"") for part in sent[1:])


def send_all(
    app: Any, requests: list[tuple[str, bytes]]
) -> list[tuple[int, dict[str, str], bytes]]:
    """Send (path, query) pairs, 100 concurrently."""

    async def send() -> list[tuple[int, dict[str, str], bytes]]:
        answers = []
        for start in range(0, len(requests), 100):
            batch = (asgi(app, path, query) for path, query in requests[start : start + 100])
            answers += await asyncio.gather(*batch)
        return answers

    return asyncio.run(send())
