"""The HTTP API: results, errors, headers, metrics and logging."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from fakeshop import FakeShop
from http_requests import OWN
from shopsight.config import ServeConfig
from shopsight.search.results import Hit, Product, Results
from shopsight.web.app import create_app
from shopsight.web.querylog import QueryLog

JPEG = {"content-type": "image/jpeg"}


def test_a_search_returns_the_searchers_results(client: TestClient, shop: FakeShop) -> None:
    answer = client.get("/search", params={"q": "red striped dress", "k": 3, "explain": True})
    assert answer.status_code == 200
    expected = shop.search("red striped dress", 3, explain=True).to_dict()
    assert answer.json() == expected
    assert next(hit["product_id"] for hit in expected["hits"]) == "1001"
    assert set(answer.json()) == {field.name for field in fields(Results)}
    assert set(answer.json()["hits"][0]) == {field.name for field in fields(Hit)}


def test_filters_restrict_the_search(client: TestClient) -> None:
    filters = ["kind=dress", "price=20..60", "in_stock=true"]
    results = client.get("/search", params={"q": "red", "k": 50, "filter": filters}).json()
    assert results["hits"]
    for hit in results["hits"]:
        assert hit["fields"]["kind"] == "dress"
        assert 20 <= hit["fields"]["price"] <= 60
        assert hit["fields"]["in_stock"] is True


def test_a_product_its_photo_and_similar_products(client: TestClient, shop: FakeShop) -> None:
    product = client.get("/products/1001").json()
    assert product == shop.product("1001").to_dict()
    assert set(product) == {field.name for field in fields(Product)}
    photo = client.get("/products/1001/photo")
    assert photo.content == shop.photo("1001")
    assert photo.headers["content-type"] == "image/jpeg"
    again = client.get("/products/1001/photo", headers={"if-none-match": photo.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    similar = client.get("/products/1001/similar", params={"k": 4}).json()
    assert similar == shop.similar("1001", 4).to_dict()
    assert "1001" not in [hit["product_id"] for hit in similar["hits"]]


def test_search_by_photo(client: TestClient, shop: FakeShop) -> None:
    answer = client.post("/search/photo?k=3", content=shop.photo("1003"), headers=JPEG)
    assert answer.status_code == 200
    assert [hit["fields"]["colour"] for hit in answer.json()["hits"]] == ["navy"] * 3


def test_facets_info_and_health(client: TestClient, shop: FakeShop) -> None:
    facets = client.get("/facets").json()["facets"]
    assert [facet["name"] for facet in facets] == [facet.name for facet in shop.facets()]
    info = client.get("/info").json()
    assert info["index"] == shop.info()
    assert info["limits"]["k_max"] == ServeConfig.k_max
    assert info["clicks"] is False
    assert client.get("/health").json()["products"] == 144


@pytest.mark.parametrize(
    ("address", "status", "message"),
    [
        ("/search", 422, "q: field required"),
        ("/search?q=a&k=0", 422, "k: input should be greater than or equal to 1"),
        ("/search?q=a&k=101", 422, "k: input should be less than or equal to 100"),
        ("/search?q=a&k=x", 422, "k: input should be a valid integer"),
        (
            "/search?q=a&candidates=1001",
            422,
            "candidates: input should be less than",
        ),
        ("/search?q=" + "a" * 501, 422, "q: string should have at most 500 characters"),
        ("/search?q=a&filter=size=4", 400, "unknown field 'size'"),
        ("/search?q=a&filter=dress", 400, "invalid filter 'dress'"),
        ("/search?q=a&filter=price=cheap", 400, "price is a number, not 'cheap'"),
        ("/search?q=a&filter=kind=hat&filter=kind=dress", 400, "two filters for 'kind'"),
        ("/search?q=a&filter=kind=" + "a" * 300, 400, "a filter has at most 300 characters"),
        ("/search?q=a" + "&filter=kind=hat" * 21, 422, "filter: list should have at most 20"),
        ("/products/none", 404, "no product 'none' in the index"),
        ("/products/none/photo", 404, "no product 'none' in the index"),
        ("/products/none/similar", 404, "no product 'none' in the index"),
        ("/products/" + "9" * 1001, 404, "a product id has at most 1,000 characters"),
        ("/nothing", 404, "not found"),
        ("/static/page.py", 404, "not found"),
    ],
)
def test_errors_are_one_sentence(
    client: TestClient, address: str, status: int, message: str
) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]
    assert answer.json()["detail"].startswith(message)


def test_other_methods_are_rejected(client: TestClient) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = client.request(method, "/search?q=a")
        assert answer.status_code == 405
        assert answer.json() == {"detail": "method not allowed"}


def test_invalid_photos_are_rejected(client: TestClient) -> None:
    broken = client.post("/search/photo", content=b"GIF89a", headers=JPEG)
    assert (broken.status_code, broken.json()["detail"]) == (
        400,
        "the photo cannot be read",
    )
    untyped = client.post("/search/photo", content=b"x", headers={"content-type": "text/plain"})
    assert untyped.status_code == 415
    assert client.post("/search/photo", content=b"", headers=JPEG).status_code == 400


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_is_read_up_to_the_limit(shop: FakeShop, announced: bool) -> None:
    config = ServeConfig(rate=0, photo_bytes=10_000)
    body = b"x" * 10_001
    sent = body if announced else iter([body[:6000], body[6000:]])
    with TestClient(create_app(shop, config), base_url=OWN) as client:
        answer = client.post("/search/photo", content=sent, headers=JPEG)
    assert answer.status_code == 413
    assert answer.json()["detail"] == "the body is larger than 10,000 bytes"


def test_a_shop_without_photos() -> None:
    with TestClient(create_app(FakeShop(photos=False), ServeConfig()), base_url=OWN) as client:
        answer = client.get("/products/1000/photo")
    assert (answer.status_code, answer.json()["detail"]) == (404, "this product has no photo")


def test_an_internal_error_reveals_nothing(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get("/search", params={"q": "!crash"})
    assert answer.status_code == 500
    assert answer.json() == {"detail": "internal error; see the server's log"}
    assert "/secret/place" not in answer.text + str(answer.headers)
    assert "/secret/place" in caplog.text


def test_values_that_json_cannot_hold_become_null(shop: FakeShop) -> None:
    shop.products["1000"]["price"] = float("nan")
    shop.products["1000"]["title"] = "half a pair \ud83d"
    with TestClient(create_app(shop, ServeConfig()), base_url=OWN) as client:
        answer = client.get("/products/1000")
    assert json.loads(answer.content)["fields"]["price"] is None
    assert json.loads(answer.content)["fields"]["title"] == "half a pair ?"


@pytest.mark.parametrize(
    "address", ["/", "/search?q=a", "/nothing", "/docs", "/search", "/metrics"]
)
def test_every_response_has_security_headers(client: TestClient, address: str) -> None:
    headers = client.get(address).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] in ("no-store", "no-cache")
    assert "server" not in headers


def test_the_page_is_small_and_self_contained(client: TestClient) -> None:
    names = ["/"]
    for name in ("page.css", "page.js", "api.js", "cards.js", "detail.js", "elements.js",
                 "filters.js", "why.js", "icon.svg"):  # fmt: skip
        names.append(f"/static/{name}")
    bodies = [client.get(name) for name in names]
    assert [body.status_code for body in bodies] == [200] * 10
    assert sum(len(body.content) for body in bodies) < 100_000
    for body in bodies:
        text = body.text.replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text
        assert "https:" not in text
        assert "style=" not in text
    again = client.get("/static/page.css", headers={"if-none-match": bodies[1].headers["etag"]})
    assert again.status_code == 304


def test_the_description_and_its_page(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    described = {(m.upper(), path) for path, methods in paths.items() for m in methods}
    assert described == {
        ("GET", "/search"), ("POST", "/search/photo"), ("GET", "/products/{product_id}"),
        ("GET", "/products/{product_id}/photo"), ("GET", "/products/{product_id}/similar"),
        ("GET", "/facets"), ("GET", "/info"), ("GET", "/health"), ("GET", "/metrics"),
        ("POST", "/clicks"), ("POST", "/session"),
    }  # fmt: skip
    docs = client.get("/docs")
    assert docs.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script" not in docs.text
    for method, path in described:
        assert f'<span class="method">{method}</span> <code>{path}</code>' in docs.text


def test_metrics_count_requests_by_route_template(client: TestClient) -> None:
    client.get("/search", params={"q": "red"})
    client.get("/products/none")
    client.get("/wp-login.php")
    text = client.get("/metrics").text
    assert 'shopsight_requests_total{method="GET",route="/search",status="200"} 1.0' in text
    assert 'route="/products/{product_id:path}",status="404"} 1.0' in text
    assert 'shopsight_requests_total{method="GET",route="none",status="404"} 1.0' in text
    assert 'shopsight_stage_seconds_count{stage="retrieve"} 1.0' in text
    assert "shopsight_batch_queries_count 1.0" in text
    assert "shopsight_products 144.0" in text
    assert "wp-login" not in text


def test_queries_and_clicks_are_logged_if_enabled(shop: FakeShop, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = QueryLog(path)
    with TestClient(create_app(shop, ServeConfig(), log=log), base_url=OWN) as client:
        assert client.get("/info").json()["clicks"] is True
        client.get("/search", params={"q": "red dress\n", "k": 2})
        click = {"query": "red dress\n", "product": "1000"}
        assert client.post("/clicks", json=click).status_code == 204
        assert client.post("/clicks", json={"query": 1}).status_code == 422
        assert client.post("/clicks", content=b"{" * 20_000).status_code == 413
        half = client.post("/clicks", content=b'{"query": "\\ud800", "product": "1"}')
        assert half.status_code in (204, 422)
    log.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["event"] == "search"
    assert lines[0]["query"] == "red dress\n"
    assert lines[0]["products"] == ["1000", "1001"]
    assert {key: lines[1][key] for key in ("event", "query", "product")} == {
        "event": "click"
    } | click
    assert set(lines[0]) == {"time", "event", "query", "products"}


def test_clicks_without_a_log_are_dropped(client: TestClient) -> None:
    assert client.post("/clicks", json={"query": "a", "product": "1"}).status_code == 204
