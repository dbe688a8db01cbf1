"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from shopsight.config import WorldConfig

# No test may fail because the machine is busy.
settings.register_profile("shopsight", deadline=None)
settings.load_profile("shopsight")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; tests that need it skip where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared data folder is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw folder of the small world, with train, valid and testA; read it, never write it."""
    from shopsight.catalogue.synthetic import make_world

    folder = tmp_path_factory.mktemp("world") / "raw"
    config = WorldConfig(
        train_rows=600, train_products=300, eval_queries=40, eval_products=200, feature_width=16
    )
    make_world(folder, config)
    return folder
