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
from shopsight.errors import UsageError
from shopsight.search.results import Hit, Product
from shopsight.web.app import create_app
from shopsight.web.jsonlog import JsonLog, QueryLog
from shopsight.web.schemas import Answer

JPEG = {"content-type": "image/jpeg"}
JSON = {"content-type": "application/json"}


def test_a_search_returns_the_searchers_results(client: TestClient, shop: FakeShop) -> None:
    answer = client.get("/search", params={"q": "red striped dress", "k": 3, "explain": True})
    assert answer.status_code == 200
    expected = shop.search("red striped dress", 3, explain=True, facets=True).to_dict()
    assert len(answer.json()["search_id"]) == 32
    assert answer.json() == expected | {"search_id": answer.json()["search_id"]}
    assert next(hit["product_id"] for hit in expected["hits"]) == "1001"
    assert set(answer.json()) == {field.name for field in fields(Answer)}
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
    expected = shop.similar("1001", 4, facets=True).to_dict()
    assert similar == expected | {"search_id": similar["search_id"]}
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
    assert info["events"] is False
    assert client.get("/health").json()["products"] == 144


@pytest.mark.parametrize(
    ("address", "status", "message"),
    [
        ("/search?q=a&kk=3", 422, "unknown parameter 'kk'; did you mean 'k'?"),
        ("/search?q=a&page=2", 422, "unknown parameter 'page' (known: q, sort,"),
        ("/info?q=a", 422, "unknown parameter 'q'"),
        ("/products/1000?k=3", 422, "unknown parameter 'k'"),
        ("/search?q=a&offset=-1", 422, "offset: input should be greater than or equal to 0"),
        ("/search?q=a&offset=9999&k=2", 422, "offset + k must be at most 10,000, not 10,001"),
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
                 "filters.js", "photo.js", "state.js", "why.js", "icon.svg"):  # fmt: skip
        names.append(f"/static/{name}")
    bodies = [client.get(name) for name in names]
    assert [body.status_code for body in bodies] == [200] * 12
    assert sum(len(body.content) for body in bodies) < 120_000
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
        ("GET", "/search"), ("POST", "/search/batch"), ("POST", "/search/photo"),
        ("GET", "/products/{product_id}"), ("PATCH", "/products/{product_id}"),
        ("DELETE", "/products/{product_id}"), ("GET", "/ready"), ("GET", "/stats"),
        ("GET", "/products/{product_id}/photo"), ("GET", "/products/{product_id}/similar"),
        ("GET", "/facets"), ("GET", "/info"), ("GET", "/health"), ("GET", "/metrics"),
        ("POST", "/events"), ("POST", "/session"),
    }  # fmt: skip
    operations = [operation for methods in paths.values() for operation in methods.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    assert all(name.isidentifier() for name in ids)
    assert all(operation["tags"] for operation in operations)
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


def test_paging_and_sorting(client: TestClient) -> None:
    def ids(**parameters: object) -> list[str]:
        answer = client.get("/search", params={"q": "red", **parameters}).json()
        assert answer["total"] == 18
        return [hit["product_id"] for hit in answer["hits"]]

    every = ids(k=100)
    assert len(every) == 18
    assert [*ids(k=7), *ids(k=7, offset=7), *ids(k=7, offset=14)] == every
    assert ids(offset=18) == []
    by_price = client.get("/search", params={"q": "red", "sort": "-price", "k": 100}).json()
    prices = [hit["fields"]["price"] for hit in by_price["hits"]]
    assert prices == sorted(prices, reverse=True)


def test_browsing_alternatives_and_exclusions(client: TestClient) -> None:
    filters = ["kind=dress", "kind=hat", "-colour=red", "-colour=navy"]
    answer = client.get("/search", params={"filter": filters, "k": 100}).json()
    assert answer["total"] == 2 * 6 * 3
    shown = {(hit["fields"]["kind"], hit["fields"]["colour"]) for hit in answer["hits"]}
    assert {kind for kind, _ in shown} == {"dress", "hat"}
    assert {colour for _, colour in shown}.isdisjoint({"red", "navy"})
    counts = {facet["name"]: facet["values"] for facet in answer["facets"]}
    assert counts["kind"]["boots"] == 6 * 3  # as if another kind were chosen
    assert counts["pattern"] == dict.fromkeys(("dotted", "plain", "striped"), 12)
    assert client.get("/search", params={"facets": False}).json()["facets"] == []


def test_a_batch_of_searches(client: TestClient, shop: FakeShop) -> None:
    body = {"queries": ["red dress", "", "navy hat"], "k": 2, "filters": ["pattern=plain"]}
    answer = client.post("/search/batch", json=body)
    assert answer.status_code == 200
    found = answer.json()["results"]
    expected = shop.search_many(body["queries"], 2, filters={"pattern": "plain"}, facets=True)
    assert [item | {"search_id": ""} for item in found] == [
        results.to_dict() | {"search_id": ""} for results in expected
    ]
    assert len({item["search_id"] for item in found}) == 3


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"queries": []}, 422, "queries: list should have at least 1 item"),
        ({"queries": ["a"] * 101}, 422, "queries: list should have at most 100 items"),
        ({"queries": ["a"], "kk": 3}, 422, "kk: extra inputs are not permitted"),
        ({"queries": ["a"], "k": 101}, 422, "k and candidates must be at most 100 and 1,000"),
        ({"queries": ["a" * 501]}, 422, "a query has at most 500 characters"),
        ({"queries": ["a"], "offset": 9_999}, 422, "offset + k must be at most 10,000"),
        ({"queries": ["a"], "filters": ["size=4"]}, 400, "unknown field 'size'"),
        ([], 422, "request: input should be an object"),
    ],
)
def test_invalid_batches(client: TestClient, body: object, status: int, message: str) -> None:
    answer = client.post("/search/batch", json=body)
    assert (answer.status_code, answer.json()["detail"][: len(message)]) == (status, message)


def test_head_is_get_without_a_body(client: TestClient) -> None:
    for address in ("/", "/search?q=red", "/products/1000/photo", "/health", "/static/page.css"):
        head, whole = client.head(address), client.get(address)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.content))
    assert client.head("/products/none").status_code == 404


def test_readiness_and_statistics(shop: FakeShop) -> None:
    with TestClient(create_app(shop, ServeConfig()), base_url=OWN) as client:
        assert client.get("/ready").json()["products"] == 144
        client.get("/search", params={"q": "red"})
        stats = client.get("/stats").json()
        assert (stats["searches"], stats["waiting"], stats["requests"]) == (1, 0, 2)
        assert stats["index"] == shop.info()
    with TestClient(create_app(shop, ServeConfig()), base_url=OWN) as client:
        client.app.state.service.stop()
        assert client.get("/ready").status_code == 503


def test_times_of_the_stages_are_sent(client: TestClient) -> None:
    answer = client.get("/search", params={"q": "red"})
    assert answer.headers["server-timing"] == (
        "encode;dur=4.00, retrieve;dur=1.00, rerank;dur=30.00"
    )


def test_pages_of_a_named_origin_may_call_the_api(shop: FakeShop) -> None:
    config = ServeConfig(cors=("https://shop.example",))
    with TestClient(create_app(shop, config, "t" * 20), base_url=OWN) as client:
        ask = {"access-control-request-method": "GET",
               "access-control-request-headers": "authorization"}  # fmt: skip
        preflight = client.options("/search", headers={"origin": "https://shop.example", **ask})
        assert preflight.headers["access-control-allow-origin"] == "https://shop.example"
        foreign = client.options("/search", headers={"origin": "https://evil.example", **ask})
        assert "access-control-allow-origin" not in foreign.headers
        denied = client.get("/search?q=a", headers={"origin": "https://shop.example"})
        assert denied.status_code == 401
        assert denied.headers["access-control-allow-origin"] == "https://shop.example"
        assert denied.headers["cross-origin-resource-policy"] == "cross-origin"


@pytest.mark.parametrize("origin", ["shop.example", "https://shop.example/", "ftp://x", ""])
def test_invalid_origins(origin: str) -> None:
    with pytest.raises(UsageError, match="is not an origin such as"):
        ServeConfig(cors=(origin,))


def test_access_log(shop: FakeShop, tmp_path: Path) -> None:
    log = JsonLog(tmp_path / "access")
    app = create_app(shop, ServeConfig(), access_log=log)
    with TestClient(app, base_url=OWN) as client:
        named = client.get("/search?q=secret", headers={"x-request-id": "from-proxy_1.2"})
        assert named.headers["x-request-id"] == "from-proxy_1.2"
        other = client.head("/nothing", headers={"x-request-id": "bad id\t"})
    log.close()
    first, second = map(json.loads, (tmp_path / "access").read_text().splitlines())
    assert (first["request_id"], first["method"], first["path"], first["status"]) == (
        "from-proxy_1.2", "GET", "/search", 200,
    )  # fmt: skip
    assert first["bytes"] == len(named.content)
    assert first["milliseconds"] > 0
    assert (second["method"], second["status"], second["bytes"]) == ("HEAD", 404, 0)
    assert second["request_id"] == other.headers["x-request-id"] != "bad id\t"
    assert "secret" not in (tmp_path / "access").read_text()


def test_searches_and_events_are_logged_if_enabled(shop: FakeShop, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = QueryLog(path)
    with TestClient(create_app(shop, ServeConfig(), log=log), base_url=OWN) as client:
        assert client.get("/info").json()["events"] is True
        answer = client.get("/search", params={"q": "red dress\n", "k": 2}).json()
        client.get("/search", params={"q": "red d", "log": False})
        client.get("/search", params={"filter": "kind=hat"})
        click = {"kind": "click", "query": "red dress\n", "product": "1000", "position": 0,
                 "search_id": answer["search_id"]}  # fmt: skip
        seen = {"kind": "impression", "query": "hat", "products": ["1", "2"]}
        for event in (click, seen):
            assert client.post("/events", json=event).status_code == 204
        lone = b'{"kind": "click", "query": "\\ud800", "product": "1"}'
        half = client.post("/events", content=lone, headers=JSON)
        assert half.status_code in (204, 422)
    log.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()][:3]
    search = {"kind": "search", "query": "red dress\n", "products": ["1000", "1001"],
              "search_id": answer["search_id"]}  # fmt: skip
    for line, expected in zip(lines, [search, click, seen | {"search_id": ""}], strict=True):
        assert line == expected | {"version": 2, "time": line["time"]}


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({}, "kind: field required"),
        ({"kind": "look", "query": "a", "product": "1"}, "kind: input should be 'impression'"),
        ({"kind": "click", "query": "a"}, "request: an event of kind click needs product"),
        ({"kind": "impression", "query": "a", "product": "1"}, "request: an event of kind impress"),
        ({"kind": "click", "query": 1, "product": "1"}, "query: input should be a valid string"),
        ({"kind": "click", "query": "a", "product": "1", "x": 1}, "x: extra inputs are not"),
    ],
)
def test_invalid_events(client: TestClient, event: object, message: str) -> None:
    answer = client.post("/events", json=event)
    assert (answer.status_code, answer.json()["detail"][: len(message)]) == (422, message)


def test_events_need_json_of_moderate_size(client: TestClient) -> None:
    event = {"kind": "click", "query": "a", "product": "1"}
    assert client.post("/events", json=event).status_code == 204  # without a log: dropped
    assert client.post("/events", content=b"{" * 300_000, headers=JSON).status_code == 413
    assert client.post("/events", content=json.dumps(event)).status_code == 415
