"""Rate, token, names, and time: decided alone, and at the door of the application."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from asking import OWN, asgi, serve_in_thread
from drawnshop import DrawnShop
from shopsight.config import ServeConfig
from shopsight.errors import InputError, UsageError
from shopsight.web.app import create_app
from shopsight.web.security import Names, Rate, Token, client_of
from shopsight.web.server import read_token

SECRET = "a-token-of-some-length"


def served(config: ServeConfig, token: str | None = None, shop: Any = None) -> TestClient:
    return TestClient(create_app(shop or DrawnShop(), config, token), base_url=OWN)


def test_a_bucket_fills_as_time_goes_by() -> None:
    now = 0.0
    rate = Rate(2.0, 3, clock=lambda: now)
    assert [rate.wait("a") for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    assert rate.wait("b") == 0
    now = 0.25
    assert rate.wait("a") == 0.25
    now = 0.5
    assert [rate.wait("a"), rate.wait("a")] == [0, 0.5]
    now = 100.0
    assert [rate.wait("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_cheap_requests_cost_less() -> None:
    rate = Rate(1.0, 1, clock=lambda: 0.0)
    assert [rate.wait("a", 0.25) for _ in range(5)] == [0, 0, 0, 0, 0.25]


def test_clients_that_are_long_silent_are_forgotten() -> None:
    rate = Rate(1.0, 1, clock=lambda: 0.0)
    rate.wait("first")
    for i in range(10_000):
        rate.wait(str(i))
    assert len(rate._buckets) == 10_000
    assert rate.wait("first") == 0


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("::1", "::"),
        ("::ffff:192.0.2.9", "192.0.2.9"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_one_network_is_one_client(address: str, client: str) -> None:
    assert client_of(address) == client


def test_names() -> None:
    own = Names("127.0.0.1", ("shop.example",))
    for name in ("127.0.0.1", "localhost:8000", "LOCALHOST", "[::1]:80", "shop.example:443"):
        assert own.allows(name)
    for name in ("", "evil.example", "127.0.0.1.evil.example", "192.0.2.1:8000"):
        assert not own.allows(name)
    assert Names("0.0.0.0").allows("anything.example")
    assert not Names("0.0.0.0", ("shop.example",)).allows("anything.example")
    assert Names("127.0.0.1", ("*",)).allows("anything.example")


def test_tokens() -> None:
    token = Token(SECRET)
    assert token.allows(f"bearer  {SECRET} ")
    assert token.allows("", token.cookie)
    assert SECRET not in token.cookie
    for wrong in ("", "Bearer", "Bearer x", f"Basic {SECRET}", SECRET, "Bearer \xff\u20ac"):
        assert not token.allows(wrong)
    assert not token.allows("", SECRET)
    assert not token.allows("Bearer x", token.cookie)
    assert not Token("another-token-of-length").allows("", token.cookie)


def test_too_many_requests_of_one_client() -> None:
    with served(ServeConfig(rate=0.001, burst=3)) as client:
        statuses = [client.get("/search?q=red").status_code for _ in range(5)]
        late = client.get("/search?q=red")
    assert statuses == [200, 200, 200, 429, 429]
    assert late.json()["detail"].startswith("too many requests; try again in ")
    assert int(late.headers["retry-after"]) > 900


def test_photos_count_a_tenth() -> None:
    with served(ServeConfig(rate=0.001, burst=1)) as client:
        statuses = [client.get("/products/1000/photo").status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]


def test_without_its_token_nothing_is_told() -> None:
    with served(ServeConfig(rate=0), SECRET) as client:
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


def test_other_names_are_turned_away() -> None:
    with served(ServeConfig()) as client:
        answer = client.get("/search?q=a", headers={"host": "evil.example"})
    assert answer.status_code == 421
    assert answer.json()["detail"] == "host not allowed (see --allowed-hosts)"


def test_no_answer_in_time_is_said_and_the_server_goes_on() -> None:
    shop = DrawnShop()
    shop.hold.clear()
    with served(ServeConfig(timeout=0.2, rate=0), shop=shop) as client:
        started = time.monotonic()
        late = client.get("/search?q=red")
        assert time.monotonic() - started < 10
        assert (late.status_code, late.headers["retry-after"]) == (503, "1")
        assert late.json()["detail"] == "no answer within 0.2 s; try again"
        assert client.get("/health").status_code == 200
        shop.hold.set()
        assert client.get("/search?q=red").status_code == 200


def test_a_body_that_never_comes_is_given_up() -> None:
    with serve_in_thread(DrawnShop(), ServeConfig(timeout=0.3, rate=0)) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as slow:
            slow.sendall(
                b"POST /search/photo HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                b"Content-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\nfirst"
            )
            assert slow.recv(1000).startswith(b"HTTP/1.1 408")


def test_too_many_requests_at_once() -> None:
    shop = DrawnShop()
    shop.hold.clear()
    app = create_app(shop, ServeConfig(pending=2, rate=0))

    async def three() -> list[int]:
        tasks = [asyncio.create_task(asgi(app, "/search", b"q=red")) for _ in range(3)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        shop.hold.set()
        return sorted(status for status, _, _ in await asyncio.gather(*tasks))

    assert asyncio.run(three()) == [200, 200, 503]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "should hold one token on one line, without blanks"),
        ("two words-and-more-letters", "should hold one token on one line, without blanks"),
        ("short", "a token needs at least 16 characters"),
        ("ünïcödé-ünïcödé-ünïcödé", "a token has ASCII letters and digits only"),
    ],
)
def test_files_that_hold_no_token(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_token(str(path))


def test_a_token_is_read_without_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    assert read_token(str(path)) == SECRET


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"port": 65_536}, "port must be from 0 to 65535, not 65536"),
        ({"k_max": 0}, "k_max must be at least 1, not 0"),
        ({"rate": -1.0}, "rate must be at least 0, not -1.0"),
        ({"timeout": 0.0}, "timeout must be from 0.001 to 3600, not 0.0"),
    ],
)
def test_settings_that_make_no_sense(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        ServeConfig(**changes)
