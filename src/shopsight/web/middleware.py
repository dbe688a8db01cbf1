"""Request middleware: host check, limits, authentication, metrics and security headers."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
import uuid
from collections.abc import Mapping
from typing import NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shopsight.config import ServeConfig
from shopsight.web.jsonlog import JsonLog
from shopsight.web.metrics import Metrics
from shopsight.web.responses import problem
from shopsight.web.security import AllowedHosts, RateLimiter, Token, client_key

# Reachable without the token: nothing here reveals the catalogue, and the page needs its own
# files before it can ask for the token.
_PUBLIC = ("/", "/docs", "/health", "/openapi.json", "/ready", "/session")
_STATIC = "/static/"
# A page of results loads dozens of photos and files; at full cost a few searches would use up a
# client's burst.
_LIGHT_COST = 0.1
_SECURITY_HEADERS = {
    # No inline scripts or styles and no foreign origin: markup that slips into a field or a query
    # cannot run. blob: is the preview of the visitor's own photo.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    # Addresses contain queries, which other sites must not learn.
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE")
_RETRY = ("retry-after", "1")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = logging.getLogger("shopsight")


class _Rejection(NamedTuple):
    reason: str  # the metric's label
    status: int
    detail: str
    header: tuple[str, str] | None = None


class GuardMiddleware:
    """ASGI middleware that checks, times, limits and counts every request.

    Pure ASGI, unlike Starlette's BaseHTTPMiddleware, so that a timeout cancels the application
    itself and a slow client can be distinguished from a slow answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        config: ServeConfig,
        token: Token,
        metrics: Metrics,
        access_log: JsonLog | None = None,
    ) -> None:
        self._app, self._config, self._token, self._metrics = app, config, token, metrics
        self._access_log = access_log
        self._headers = dict(_SECURITY_HEADERS)
        if config.cors:
            self._headers["cross-origin-resource-policy"] = "cross-origin"
        self._limiter = RateLimiter(config.rate, config.burst)
        self._hosts = AllowedHosts(config.host, config.allowed_hosts)
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an HTTP request; pass other events (lifespan) through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, request_id = scope["method"], _request_id(scope)
        headers = self._headers | {"x-request-id": request_id}
        exchange = _Exchange(receive, send, headers, body=method != "HEAD")
        # HEAD is GET without the body, for every route.
        scope = {**scope, "method": "GET"} if method == "HEAD" else scope
        self._in_flight += 1
        self._metrics.in_flight.set(self._in_flight)
        started = time.perf_counter()
        try:
            await self._answer(scope, exchange)
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.set(self._in_flight)
            seconds = time.perf_counter() - started
            self._count(scope, method, exchange.status, seconds)
            if self._access_log is not None:
                self._access_log.write(
                    request_id=request_id, method=method, path=scope["path"][:1000],
                    status=exchange.status, milliseconds=round(1e3 * seconds, 2),
                    bytes=exchange.bytes,
                )  # fmt: skip

    async def _answer(self, scope: Scope, exchange: _Exchange) -> None:
        rejection = self._rejection(scope) or await self._forward(scope, exchange)
        if rejection is None:
            return
        self._metrics.rejected.labels(rejection.reason).inc()
        headers = dict([rejection.header] if rejection.header else [])
        response = problem(rejection.status, rejection.detail, headers)
        await response(scope, exchange.receive, exchange.send)

    async def _forward(self, scope: Scope, exchange: _Exchange) -> _Rejection | None:
        """Call the application; a rejection if it failed before its response started."""
        try:
            async with asyncio.timeout(self._config.timeout):
                await self._app(scope, exchange.receive, exchange.send)
        except TimeoutError:
            limit = f"within {self._config.timeout:g} s"
            rejection = _Rejection("timeout", 503, f"no answer {limit}; try again", _RETRY)
            if exchange.reading:
                rejection = _Rejection("slow", 408, f"the request did not arrive {limit}")
        except Exception:
            # The message may name files of this machine: it goes to the log, not to the client.
            _log.exception("a request failed")
            rejection = _Rejection("fault", 500, "internal error; see the server's log")
        else:
            return None
        return None if exchange.status else rejection

    def _rejection(self, scope: Scope) -> _Rejection | None:
        headers, path = Headers(scope=scope), scope["path"]
        if not self._hosts.allows(headers.get("host", "")):
            return _Rejection("host", 421, "host not allowed (see --allowed-hosts)")
        if self._in_flight > self._config.pending:
            return _Rejection("busy", 503, "too many requests at once; try again later", _RETRY)
        # The rate comes before the token, so that guesses of the token are limited as well.
        photo = path.startswith("/products/") and path.endswith("/photo")
        cost = _LIGHT_COST if photo or path.startswith(_STATIC) else 1.0
        wait = self._limiter.wait(client_key((scope.get("client") or ("",))[0]), cost)
        if wait:
            seconds = str(math.ceil(wait))
            detail = f"too many requests; try again in {seconds} s"
            return _Rejection("rate", 429, detail, ("retry-after", seconds))
        cookie = cookie_parser(headers.get("cookie", "")).get(Token.COOKIE, "")
        public = path in _PUBLIC or path.startswith(_STATIC)
        if not public and not self._token.allows(headers.get("authorization", ""), cookie):
            detail = "a bearer token is required"
            return _Rejection("token", 401, detail, ("www-authenticate", "Bearer"))
        return None

    def _count(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        # Route templates and known methods only: labels from the request itself would let a
        # client create time series without bound.
        route = getattr(scope.get("route"), "path", "none")
        method = method if method in _METHODS else "other"
        self._metrics.requests.labels(route, method, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)


def _request_id(scope: Scope) -> str:
    """The id that a proxy or client gave the request, or a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


class _Exchange:
    """Wraps receive and send of a request; records progress and adds headers."""

    def __init__(
        self, receive: Receive, send: Send, headers: Mapping[str, str], *, body: bool
    ) -> None:
        self._receive, self._send, self._headers, self._body = receive, send, headers, body
        self.status = self.bytes = 0
        self.reading = False

    async def receive(self) -> Message:
        # Stays True if a timeout cancels this call: the client was slow, not the server.
        self.reading = True
        message = await self._receive()
        self.reading = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            for name, value in self._headers.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
        elif not self._body:
            message = {**message, "body": b""}
        self.bytes += len(message.get("body", b""))
        await self._send(message)
