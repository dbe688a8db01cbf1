"""Changes of fields without photos: values, types, all or none, merging of small segments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from http_requests import EASY, OWN
from shopsight.api.search import Index
from shopsight.errors import InputError
from shopsight.search.errors import ChangeError, UnknownProductError
from shopsight.search.index import check_index, update_fields
from shopsight.search.manifest import read_generation
from shopsight.search.searcher import Searcher
from shopsight.search.snapshot import Snapshot
from shopsight.web.app import create_app

SECRET = {"authorization": "Bearer a-token-of-some-length"}


def test_changed_fields_are_found_and_everything_else_stays(own_index: Path) -> None:
    searcher, before = Searcher.open(own_index), Snapshot.current(own_index)
    first, second, third = before.ids(np.array([3, 100, 400]))
    old = {name: searcher.product(name) for name in (first, second, third)}
    ranked = [hit.product_id for hit in searcher.search("red shoe", 20).hits]
    changes: dict[str, dict[str, Any]] = {
        first: {"price": 1234.5, "in_stock": None},
        second: {"price": "19.95", "title": "frobnicator", "stars": 5},
    }
    update_fields(own_index, changes)
    assert searcher.product(first).fields == {
        name: value for name, value in old[first].fields.items() if name != "in_stock"
    } | {"price": 1234.5}
    assert searcher.product(second).fields == old[second].fields | {
        "price": 19.95, "title": "frobnicator", "stars": 5,
    }  # fmt: skip
    assert searcher.product(third) == old[third]
    found = searcher.search("", 5, filters={"price": ">1000"})
    assert [hit.product_id for hit in found.hits] == [first]
    assert searcher.search("frobnicator", 1).hits[0].product_id == second
    assert [hit.product_id for hit in searcher.search("red shoe", 20).hits] == ranked
    assert searcher.photo(first) == before.photo(3)
    after = Snapshot.current(own_index)
    row = after.row_of(first)
    assert np.array_equal(after.vectors(np.array([row])), before.vectors(np.array([3])))
    assert after.boxes(row) == before.boxes(3)
    check_index(own_index)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"prise": 1}, "unknown field 'prise'; did you mean 'price'"),
        ({"price": "cheap"}, "'cheap' is not a number"),
        ({"in_stock": "perhaps"}, "'perhaps' is not true or false"),
        ({"stars": 2.5}, "stars expects a whole number, got 2.5"),
    ],
)
def test_invalid_changes_change_nothing(
    own_index: Path, cells: dict[str, Any], message: str
) -> None:
    ids = Snapshot.current(own_index).ids(np.array([1, 2]))
    with pytest.raises(ChangeError, match=message):
        update_fields(own_index, {ids[0]: {"price": 5}, ids[1]: cells})
    with pytest.raises(UnknownProductError):
        update_fields(own_index, {ids[0]: {"price": 5}, "nothing": {"price": 5}})
    assert read_generation(own_index).number == 1


def test_small_segments_are_merged_by_themselves(own_index: Path) -> None:
    ids = Snapshot.current(own_index).ids(np.arange(40))
    for i in range(16):
        update_fields(own_index, {ids[i]: {"price": float(i)}, ids[20]: {"stars": 1 + i % 5}})
    generation = read_generation(own_index)
    assert len(generation.segments) == 2
    assert generation.segments[0].name == "segment-000001"  # the large one is not rewritten
    searcher = Searcher.open(own_index)
    assert [searcher.product(name).fields["price"] for name in ids[:16]] == list(range(16))
    check_index(own_index)


def test_a_table_changes_fields(own_index: Path, tmp_path: Path) -> None:
    first, second = Snapshot.current(own_index).ids(np.array([1, 2]))
    table = tmp_path / "prices.csv"
    table.write_text(f"product_id,price,in_stock\n{first},7.5,yes\n{second},,no\n")
    index = Index(own_index)
    index.update(table)
    assert index.search("", filters={"price": "7.5"})[0].product_id == first
    assert "price" not in Searcher.open(own_index).product(second).fields
    for text, message in (
        ("price\n5\n", "no column of product ids"),
        (f"id,price\n{first},1\n{first},2\n", "duplicate product id"),
        ("id,price\n,2\n", "line 2"),
    ):
        table.write_text(text)
        with pytest.raises(InputError, match=message):
            index.update(table)
    # Ids are read as `prepare photos` reads them: without the blanks around them.
    lines = tmp_path / "prices.jsonl"
    lines.write_text(json.dumps({"product_id": f" {first} ", "price": 8.5}) + "\n")
    index.update(lines)
    assert index.search("", filters={"price": "8.5"})[0].product_id == first


def test_changes_over_http_need_a_token(own_index: Path) -> None:
    searcher = Searcher.open(own_index)
    (first,) = Snapshot.current(own_index).ids(np.array([5]))
    change = {"fields": {"price": 3.25}}
    with TestClient(create_app(searcher, EASY), base_url=OWN) as client:
        for method in ("PATCH", "DELETE"):
            answer = client.request(method, f"/products/{first}", json=change)
            assert (answer.status_code, "--token-file" in answer.text) == (403, True)
    token = SECRET["authorization"].split()[1]
    with TestClient(create_app(searcher, EASY, token), base_url=OWN) as client:
        assert client.patch(f"/products/{first}", json=change).status_code == 401
        answer = client.patch(f"/products/{first}", json=change, headers=SECRET)
        assert (answer.status_code, answer.json()["fields"]["price"]) == (200, 3.25)
        for body, status in (
            ({"fields": {}}, 422), ({"fields": {"price": {"a": 1}}}, 422), ({"price": 3}, 422),
            ({"fields": {"price": "cheap"}}, 400), ({"fields": {"prise": 3}}, 400),
        ):  # fmt: skip
            answer = client.patch(f"/products/{first}", json=body, headers=SECRET)
            assert answer.status_code == status, body
            assert str(own_index) not in json.dumps(answer.json())
        assert client.patch("/products/nothing", json=change, headers=SECRET).status_code == 404
        assert client.delete(f"/products/{first}", headers=SECRET).status_code == 204
        assert client.get(f"/products/{first}", headers=SECRET).status_code == 404
        assert client.delete(f"/products/{first}", headers=SECRET).status_code == 404
    assert first not in [hit.product_id for hit in searcher.search("", 700).hits]
