"""Requests given to an ASGI application as they stand, and a real server in a thread."""

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
    bound = listen(replace(config, port=0))
    ready = threading.Event()
    server = make_server(create_app(shop, config, token, log), config, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    assert ready.wait(30)
    try:
        yield url_of(bound)
    finally:
        server.should_exit = True
        thread.join(30)
        bound.close()
        assert not thread.is_alive()


async def asgi(
    app: Any,
    path: str,
    query: bytes = b"",
    method: str = "GET",
    headers: tuple[tuple[bytes, bytes], ...] = ((b"host", b"127.0.0.1"),),
    receive: Callable[[], Awaitable[dict[str, Any]]] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """One request given to the application as it stands, without any client's tidying."""
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
    found = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return start["status"], found, b"".join(one.get("body", b"") for one in sent[1:])


def ask_all(app: Any, asked: list[tuple[str, bytes]]) -> list[tuple[int, dict[str, str], bytes]]:
    """Many (path, query) pairs, some at a time."""

    async def all_of_them() -> list[tuple[int, dict[str, str], bytes]]:
        found = []
        for at in range(0, len(asked), 100):
            some = (asgi(app, path, query) for path, query in asked[at : at + 100])
            found += await asyncio.gather(*some)
        return found

    return asyncio.run(all_of_them())
