"""The HTTP API: what it answers, how it refuses, and what every answer carries."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from asking import OWN
from drawnshop import DrawnShop
from shopsight.config import ServeConfig
from shopsight.search.results import Hit, Product, Results
from shopsight.web.app import create_app
from shopsight.web.querylog import QueryLog

JPEG = {"content-type": "image/jpeg"}


def test_a_search_is_the_searchers_own_answer(client: TestClient, shop: DrawnShop) -> None:
    answer = client.get("/search", params={"q": "red striped dress", "k": 3, "explain": True})
    assert answer.status_code == 200
    wanted = shop.search("red striped dress", 3, explain=True).to_json()
    assert answer.json() == wanted
    assert next(hit["product_id"] for hit in wanted["hits"]) == "1001"
    assert set(answer.json()) == {field.name for field in fields(Results)}
    assert set(answer.json()["hits"][0]) == {field.name for field in fields(Hit)}


def test_filters_choose_before_the_search(client: TestClient) -> None:
    filters = ["kind=dress", "price=20..60", "in_stock=true"]
    found = client.get("/search", params={"q": "red", "k": 50, "filter": filters}).json()
    assert found["hits"]
    for hit in found["hits"]:
        assert hit["fields"]["kind"] == "dress"
        assert 20 <= hit["fields"]["price"] <= 60
        assert hit["fields"]["in_stock"] is True


def test_a_product_its_photo_and_what_is_like_it(client: TestClient, shop: DrawnShop) -> None:
    one = client.get("/products/1001")
    assert one.json() == shop.product("1001").to_json()
    assert set(one.json()) == {field.name for field in fields(Product)}
    photo = client.get("/products/1001/photo")
    assert photo.content == shop.photo("1001")
    assert photo.headers["content-type"] == "image/jpeg"
    again = client.get("/products/1001/photo", headers={"if-none-match": photo.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    like = client.get("/products/1001/similar", params={"k": 4}).json()
    assert like == shop.similar("1001", 4).to_json()
    assert "1001" not in [hit["product_id"] for hit in like["hits"]]


def test_a_photo_is_a_query(client: TestClient, shop: DrawnShop) -> None:
    answer = client.post("/search/photo?k=3", content=shop.photo("1003"), headers=JPEG)
    assert answer.status_code == 200
    assert [hit["fields"]["colour"] for hit in answer.json()["hits"]] == ["navy"] * 3


def test_facets_info_and_health(client: TestClient, shop: DrawnShop) -> None:
    facets = client.get("/facets").json()["facets"]
    assert [one["name"] for one in facets] == [one.name for one in shop.facets()]
    info = client.get("/info").json()
    assert info["index"] == shop.info()
    assert info["limits"]["k_max"] == ServeConfig.k_max
    assert info["clicks"] is False
    assert client.get("/health").json()["products"] == 144


@pytest.mark.parametrize(
    ("address", "status", "sentence"),
    [
        ("/search", 422, "q: field required"),
        ("/search?q=a&k=0", 422, "k: input should be greater than or equal to 1"),
        ("/search?q=a&k=101", 422, "k: input should be less than or equal to 100"),
        ("/search?q=a&k=x", 422, "k: input should be a valid integer"),
        ("/search?q=a&depth=1001", 422, "depth: input should be less than or equal to 1000"),
        ("/search?q=" + "a" * 501, 422, "q: string should have at most 500 characters"),
        ("/search?q=a&filter=size=4", 400, "there is no field 'size' to filter by"),
        ("/search?q=a&filter=dress", 400, "dress is no filter"),
        ("/search?q=a&filter=price=cheap", 400, "price is a number, not 'cheap'"),
        ("/search?q=a&filter=kind=hat&filter=kind=dress", 400, "two filters for 'kind'"),
        ("/search?q=a&filter=kind=" + "a" * 300, 400, "a filter has at most 300 characters"),
        ("/search?q=a" + "&filter=kind=hat" * 21, 422, "filter: list should have at most 20"),
        ("/products/none", 404, "no product 'none' in the index"),
        ("/products/none/photo", 404, "no product 'none' in the index"),
        ("/products/none/similar", 404, "no product 'none' in the index"),
        ("/products/" + "9" * 1001, 404, "no product has an id that long"),
        ("/nothing", 404, "there is nothing here"),
        ("/static/page.py", 404, "there is nothing here"),
    ],
)
def test_refusals_are_one_sentence(
    client: TestClient, address: str, status: int, sentence: str
) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]
    assert answer.json()["detail"].replace("'dress' is", "dress is").startswith(sentence)


def test_other_methods_are_refused(client: TestClient) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = client.request(method, "/search?q=a")
        assert answer.status_code == 405
        assert answer.json() == {"detail": "this address has no such method"}


def test_photos_that_are_none(client: TestClient) -> None:
    broken = client.post("/search/photo", content=b"GIF89a", headers=JPEG)
    assert (broken.status_code, broken.json()["detail"]) == (
        400,
        "this is no photo that can be read",
    )
    untyped = client.post("/search/photo", content=b"x", headers={"content-type": "text/plain"})
    assert untyped.status_code == 415
    assert client.post("/search/photo", content=b"", headers=JPEG).status_code == 400


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_is_read_up_to_its_limit(shop: DrawnShop, announced: bool) -> None:
    config = ServeConfig(rate=0, photo_bytes=10_000)
    body = b"x" * 10_001
    sent = body if announced else iter([body[:6000], body[6000:]])
    with TestClient(create_app(shop, config), base_url=OWN) as client:
        answer = client.post("/search/photo", content=sent, headers=JPEG)
    assert answer.status_code == 413
    assert answer.json()["detail"] == "the body is larger than 10,000 bytes"


def test_a_shop_without_photos() -> None:
    with TestClient(create_app(DrawnShop(photos=False), ServeConfig()), base_url=OWN) as client:
        answer = client.get("/products/1000/photo")
    assert (answer.status_code, answer.json()["detail"]) == (404, "this product has no photo")


def test_a_fault_says_nothing_of_itself(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get("/search", params={"q": "!crash"})
    assert answer.status_code == 500
    assert answer.json() == {"detail": "the server failed; its log says why"}
    assert "/secret/place" not in answer.text + str(answer.headers)
    assert "/secret/place" in caplog.text


def test_numbers_that_json_has_not_become_null(shop: DrawnShop) -> None:
    shop.products["1000"]["price"] = float("nan")
    shop.products["1000"]["title"] = "half a pair \ud83d"
    with TestClient(create_app(shop, ServeConfig()), base_url=OWN) as client:
        answer = client.get("/products/1000")
    assert json.loads(answer.content)["fields"]["price"] is None
    assert json.loads(answer.content)["fields"]["title"] == "half a pair ?"


@pytest.mark.parametrize(
    "address", ["/", "/search?q=a", "/nothing", "/docs", "/search", "/metrics"]
)
def test_every_answer_is_guarded(client: TestClient, address: str) -> None:
    headers = client.get(address).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] in ("no-store", "no-cache")
    assert "server" not in headers


def test_the_page_is_small_and_asks_nobody_else(client: TestClient) -> None:
    names = ["/"]
    for name in ("page.css", "page.js", "api.js", "cards.js", "detail.js", "elements.js",
                 "filters.js", "why.js", "icon.svg"):  # fmt: skip
        names.append(f"/static/{name}")
    bodies = [client.get(name) for name in names]
    assert [one.status_code for one in bodies] == [200] * 10
    assert sum(len(one.content) for one in bodies) < 100_000
    for one in bodies:
        text = one.text.replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text
        assert "https:" not in text
        assert "style=" not in text
    again = client.get("/static/page.css", headers={"if-none-match": bodies[1].headers["etag"]})
    assert again.status_code == 304


def test_the_description_and_its_page(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    described = {(m.upper(), path) for path, ms in description["paths"].items() for m in ms}
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


def test_metrics_count_what_happened(client: TestClient) -> None:
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


def test_queries_and_clicks_are_logged_where_that_was_asked_for(
    shop: DrawnShop, tmp_path: Path
) -> None:
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


def test_clicks_without_a_log_are_forgotten(client: TestClient) -> None:
    assert client.post("/clicks", json={"query": "a", "product": "1"}).status_code == 204
