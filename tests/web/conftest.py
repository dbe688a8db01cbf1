"""A fake shop behind the application."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from fakeshop import FakeShop
from http_requests import EASY, OWN
from shopsight.web.app import create_app


@pytest.fixture
def shop() -> FakeShop:
    return FakeShop()


@pytest.fixture
def client(shop: FakeShop) -> Iterator[TestClient]:
    with TestClient(create_app(shop, EASY), base_url=OWN) as client:
        yield client
