"""A drawn shop behind the application."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from asking import EASY, OWN
from drawnshop import DrawnShop
from shopsight.web.app import create_app


@pytest.fixture
def shop() -> DrawnShop:
    return DrawnShop()


@pytest.fixture
def client(shop: DrawnShop) -> Iterator[TestClient]:
    with TestClient(create_app(shop, EASY), base_url=OWN) as one:
        yield one
