"""The door: every request passes here, is counted, and leaves with the headers that protect it."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shopsight.config import ServeConfig
from shopsight.web.metrics import Metrics
from shopsight.web.schemas import problem
from shopsight.web.security import Names, Rate, Token, client_of

OPEN = ("/", "/docs", "/health", "/openapi.json", "/session")
"""What needs no token: nothing here tells anything of the catalogue."""
STATIC = "/static/"
_LIGHT = 0.1  # what a photo or a file of the page costs of a client's rate
_GUARDS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE")
_log = logging.getLogger("shopsight")


@dataclass(frozen=True)
class _Refusal:
    reason: str
    status: int
    detail: str
    headers: tuple[tuple[str, str], ...] = ()


class Gate:
    """An ASGI application around another: names, rate, token, time limit, metrics and headers.

    Args:
        app: what answers.
        config: limits and names.
        token: who may ask.
        metrics: where everything is counted.
    """

    def __init__(self, app: ASGIApp, config: ServeConfig, token: Token, metrics: Metrics) -> None:
        self._app, self._config, self._token, self._metrics = app, config, token, metrics
        self._rate = Rate(config.rate, config.burst)
        self._names = Names(config.host, config.allowed_hosts)
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on what is none."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        self._under_way += 1
        self._metrics.under_way.set(self._under_way)
        started = time.perf_counter()
        try:
            await self._answer(scope, exchange)
        finally:
            self._under_way -= 1
            self._metrics.under_way.set(self._under_way)
            self._count(scope, exchange.status, time.perf_counter() - started)

    async def _answer(self, scope: Scope, exchange: _Exchange) -> None:
        refusal = self._refusal(scope)
        if refusal is None:
            refusal = await self._let_in(scope, exchange)
        if refusal is None:
            return
        self._metrics.refused.labels(refusal.reason).inc()
        answer = problem(refusal.status, refusal.detail, dict(refusal.headers))
        await answer(scope, exchange.receive, exchange.send)

    async def _let_in(self, scope: Scope, exchange: _Exchange) -> _Refusal | None:
        """Have the request answered; what is left to say where that failed before it began."""
        try:
            async with asyncio.timeout(self._config.timeout):
                await self._app(scope, exchange.receive, exchange.send)
        except TimeoutError:
            refusal = _late(exchange.reading, self._config.timeout)
        except Exception:
            _log.exception("a request failed")
            refusal = _Refusal("fault", 500, "the server failed; its log says why")
        else:
            return None
        return None if exchange.status else refusal

    def _refusal(self, scope: Scope) -> _Refusal | None:
        headers, path = Headers(scope=scope), scope["path"]
        if not self._names.allows(headers.get("host", "")):
            return _Refusal("name", 421, "host not allowed (see --allowed-hosts)")
        if self._under_way > self._config.pending:
            return _Refusal("busy", 503, "too many requests at once; try again in a second",
                            (("retry-after", "1"),))  # fmt: skip
        wait = self._rate.wait(client_of((scope.get("client") or ("",))[0]), _cost(scope))
        if wait:
            seconds = str(math.ceil(wait))
            return _Refusal("rate", 429, f"too many requests; try again in {seconds} s",
                            (("retry-after", seconds),))  # fmt: skip
        if path not in OPEN and not path.startswith(STATIC) and not self._known(headers):
            return _Refusal("token", 401, "this server wants its token, as a bearer token",
                            (("www-authenticate", "Bearer"),))  # fmt: skip
        return None

    def _known(self, headers: Headers) -> bool:
        cookie = cookie_parser(headers.get("cookie", "")).get(Token.COOKIE, "")
        return self._token.allows(headers.get("authorization", ""), cookie)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(route, method, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)


class _Exchange:
    """One request's two directions, watched."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.status = 0
        self.reading = False

    async def receive(self) -> Message:
        self.reading = True
        message = await self._receive()
        self.reading = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            _guard(MutableHeaders(raw=message.setdefault("headers", [])), _GUARDS.items())
        await self._send(message)


def _guard(headers: MutableHeaders, guards: Iterable[tuple[str, str]]) -> None:
    for name, value in guards:
        headers.setdefault(name, value)
    headers.setdefault("cache-control", "no-store")


def _late(reading: bool, timeout: float) -> _Refusal:
    if reading:
        return _Refusal("slow", 408, f"the request did not arrive within {timeout:g} s")
    return _Refusal("timeout", 503, f"no answer within {timeout:g} s; try again",
                    (("retry-after", "1"),))  # fmt: skip


def _cost(scope: Scope) -> float:
    path: str = scope["path"]
    light = path.startswith(STATIC) or (path.startswith("/products/") and path.endswith("/photo"))
    return _LIGHT if light else 1.0
