"""What the demo can be about: a shop with drawn photos, or raw files of the competition's kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from shopsight.cli.step_log import StepLog
from shopsight.config import PhotoColumnsConfig, SyntheticShopConfig, WorldConfig
from shopsight.data.dataset import PreparedData
from shopsight.demo.world import make_world
from shopsight.errors import UsageError
from shopsight.prepare.kddcup.ingest import prepare_kddcup


class World(NamedTuple):
    """A prepared folder to train on.

    Attributes:
        data: the folder.
        recipe: the recipe that suits it.
        title: heading of the report.
        note: a few words about a product, by its id; None where the folder knows its titles.
    """

    data: PreparedData
    recipe: str
    title: str
    note: Callable[[str], str] | None


def drawn_shop(out: Path, products: int, seed: int, steps: StepLog) -> World:
    """A shop as `shopsight.demo.shop` draws it, prepared with classic regions.

    Args:
        out: the demo's folder.
        products: how many; as many queries are asked.
        seed: of everything random.
        steps: told what was done.

    Raises:
        UsageError: what photos need is not installed.
    """
    try:
        from shopsight.demo.shop import CLICKS, TABLE, draw_catalogue
    except ModuleNotFoundError as error:
        raise UsageError(
            f"drawing photos needs {error.name}: pip install 'shopsight[photos]', or try the demo"
            " without photos: shopsight demo --world regions"
        ) from error
    from shopsight.prepare.photos.ingest import PhotosSettings, prepare_photos
    from shopsight.regions.factory import region_source

    shop = out / "shop"
    draw_catalogue(shop, SyntheticShopConfig(products=products, queries=products, seed=seed))
    steps.done("draw", f"{products:,} products drawn, their table and a log of clicks: {shop}")
    data = prepare_photos(
        str(shop / TABLE),
        out / "data",
        region_source("classic"),
        PhotosSettings(columns=PhotoColumnsConfig(text=("title",)), seed=seed),
        clicks=shop / CLICKS,
        force=True,
    )
    count = data.manifest["regions"]["total"]
    steps.done("prepare", f"{count:,} regions found and described: {out / 'data'}")
    return World(data, "photos", "A shop of drawn products, ranked", None)


def raw_files(out: Path, seed: int, steps: StepLog) -> World:
    """The small world of regions, as raw files, prepared.

    Args:
        out: the demo's folder.
        seed: of everything random.
        steps: told what was done.
    """
    config = WorldConfig(seed=seed)
    make_world(out / "raw", config)
    steps.done("world", f"{config.train_rows:,} clicks drawn up as raw files: {out / 'raw'}")
    data = prepare_kddcup(out / "raw", out / "data", force=True)
    steps.done("prepare", f"{data.manifest['products']:,} products stored once: {out / 'data'}")
    truth = json.loads((out / "raw" / "truth.json").read_text())["valid"]["products"]
    return World(data, "tiny", "A small world, ranked", lambda product: _described(truth[product]))


def _described(attributes: dict[str, str]) -> str:
    """A product in words, its type last.

    >>> _described({"type": "dress", "colour": "red", "material": "silk"})
    'red silk dress'
    """
    others = (value for kind, value in attributes.items() if kind != "type")
    return " ".join([*others, attributes["type"]])
