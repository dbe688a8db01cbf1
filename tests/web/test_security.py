"""Rate limits, token, host check and timeouts, alone and in the middleware."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fakeshop import FakeShop
from http_requests import OWN, asgi, serve_in_thread
from shopsight.config import ServeConfig
from shopsight.errors import InputError, UsageError
from shopsight.web.app import create_app
from shopsight.web.security import AllowedHosts, RateLimiter, Token, client_key
from shopsight.web.server import read_token

SECRET = "a-token-of-some-length"


def serve(config: ServeConfig, token: str | None = None, shop: Any = None) -> TestClient:
    return TestClient(create_app(shop or FakeShop(), config, token), base_url=OWN)


def test_a_bucket_refills_over_time() -> None:
    now = 0.0
    limiter = RateLimiter(2.0, 3, clock=lambda: now)
    assert [limiter.wait("a") for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    assert limiter.wait("b") == 0
    now = 0.25
    assert limiter.wait("a") == 0.25
    now = 0.5
    assert [limiter.wait("a"), limiter.wait("a")] == [0, 0.5]
    now = 100.0
    assert [limiter.wait("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_cheap_requests_cost_less() -> None:
    limiter = RateLimiter(1.0, 1, clock=lambda: 0.0)
    assert [limiter.wait("a", 0.25) for _ in range(5)] == [0, 0, 0, 0, 0.25]


def test_the_least_recent_clients_are_forgotten() -> None:
    limiter = RateLimiter(1.0, 1, clock=lambda: 0.0)
    limiter.wait("first")
    for i in range(10_000):
        limiter.wait(str(i))
    assert len(limiter._buckets) == 10_000
    assert limiter.wait("first") == 0


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("::1", "::"),
        ("::ffff:192.0.2.9", "192.0.2.9"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_an_ipv6_network_counts_as_one_client(address: str, client: str) -> None:
    assert client_key(address) == client


def test_allowed_hosts() -> None:
    own = AllowedHosts("127.0.0.1", ("shop.example",))
    for name in ("127.0.0.1", "localhost:8000", "LOCALHOST", "[::1]:80", "shop.example:443"):
        assert own.allows(name)
    for name in ("", "evil.example", "127.0.0.1.evil.example", "192.0.2.1:8000"):
        assert not own.allows(name)
    assert AllowedHosts("0.0.0.0").allows("anything.example")
    assert not AllowedHosts("0.0.0.0", ("shop.example",)).allows("anything.example")
    assert AllowedHosts("127.0.0.1", ("*",)).allows("anything.example")


def test_token_checks() -> None:
    token = Token(SECRET)
    assert token.allows(f"bearer  {SECRET} ")
    assert token.allows("", token.cookie)
    assert SECRET not in token.cookie
    for wrong in ("", "Bearer", "Bearer x", f"Basic {SECRET}", SECRET, "Bearer \xff\u20ac"):
        assert not token.allows(wrong)
    assert not token.allows("", SECRET)
    assert not token.allows("Bearer x", token.cookie)
    assert not Token("another-token-of-length").allows("", token.cookie)


def test_requests_above_the_rate_are_rejected() -> None:
    with serve(ServeConfig(rate=0.001, burst=3)) as client:
        statuses = [client.get("/search?q=red").status_code for _ in range(5)]
        late = client.get("/search?q=red")
    assert statuses == [200, 200, 200, 429, 429]
    assert late.json()["detail"].startswith("too many requests; try again in ")
    assert int(late.headers["retry-after"]) > 900


def test_a_photo_costs_a_tenth_of_a_request() -> None:
    with serve(ServeConfig(rate=0.001, burst=1)) as client:
        statuses = [client.get("/products/1000/photo").status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]


def test_the_catalogue_requires_the_token() -> None:
    with serve(ServeConfig(rate=0), SECRET) as client:
        for address in ("/search?q=a", "/products/1000", "/products/1000/photo", "/facets",
                        "/info", "/metrics", "/nothing", "/products/1000/similar"):  # fmt: skip
            answer = client.get(address)
            assert answer.status_code == 401, address
            assert answer.headers["www-authenticate"] == "Bearer"
        for address in ("/", "/static/page.js", "/health", "/docs", "/openapi.json"):
            assert client.get(address).status_code == 200, address
        assert client.post("/session").status_code == 401
        sent = {"authorization": f"Bearer {SECRET}"}
        assert client.get("/search?q=a", headers=sent).status_code == 200
        cookie = client.post("/session", headers=sent).headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert SECRET not in cookie
        assert client.get("/products/1000/photo").status_code == 200  # the client keeps cookies


def test_other_hosts_are_rejected() -> None:
    with serve(ServeConfig()) as client:
        answer = client.get("/search?q=a", headers={"host": "evil.example"})
    assert answer.status_code == 421
    assert answer.json()["detail"] == "host not allowed (see --allowed-hosts)"


def test_a_timeout_is_reported_and_the_server_recovers() -> None:
    shop = FakeShop()
    shop.hold.clear()
    with serve(ServeConfig(timeout=0.2, rate=0), shop=shop) as client:
        started = time.monotonic()
        late = client.get("/search?q=red")
        assert time.monotonic() - started < 10
        assert (late.status_code, late.headers["retry-after"]) == (503, "1")
        assert late.json()["detail"] == "no answer within 0.2 s; try again"
        assert client.get("/health").status_code == 200
        shop.hold.set()
        assert client.get("/search?q=red").status_code == 200


def test_a_body_that_never_arrives_times_out() -> None:
    with serve_in_thread(FakeShop(), ServeConfig(timeout=0.3, rate=0)) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as slow:
            slow.sendall(
                b"POST /search/photo HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                b"Content-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\nfirst"
            )
            assert slow.recv(1000).startswith(b"HTTP/1.1 408")


def test_concurrent_requests_are_limited() -> None:
    shop = FakeShop()
    shop.hold.clear()
    app = create_app(shop, ServeConfig(pending=2, rate=0))

    async def three() -> list[int]:
        tasks = [asyncio.create_task(asgi(app, "/search", b"q=red")) for _ in range(3)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        shop.hold.set()
        return sorted(status for status, _, _ in await asyncio.gather(*tasks))

    assert asyncio.run(three()) == [200, 200, 503]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a single line with a token, without blanks"),
        ("two words-and-more-letters", "expected a single line with a token, without blanks"),
        ("short", "a token needs at least 16 characters"),
        ("ünïcödé-ünïcödé-ünïcödé", "a token has ASCII letters and digits only"),
    ],
)
def test_invalid_token_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_token(str(path))


def test_the_line_end_of_a_token_file_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    assert read_token(str(path)) == SECRET


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"port": 65_536}, "port must be from 0 to 65535, not 65536"),
        ({"k_max": 0}, "k_max must be at least 1, not 0"),
        ({"rate": -1.0}, "rate must be at least 0, not -1.0"),
        ({"timeout": 0.0}, "timeout must be from 0.001 to 3600, not 0.0"),
    ],
)
def test_invalid_settings_are_rejected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ServeConfig(**changes)
