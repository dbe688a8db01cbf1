"""Data sets of the demo: the synthetic shop, or raw files in the competition's format."""

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


class DemoDataset(NamedTuple):
    """A prepared data set.

    Attributes:
        data: the data set.
        recipe: name of its recipe.
        title: heading of the report.
        note: product id to a short description; None if the data set has titles.
    """

    data: PreparedData
    recipe: str
    title: str
    note: Callable[[str], str] | None


def synthetic_shop(out: Path, products: int, seed: int, steps: StepLog) -> DemoDataset:
    """Generate the synthetic shop and prepare it with classic regions.

    Args:
        out: the demo's folder.
        products: number of products and of queries.
        seed: seed of everything random.
        steps: log of finished steps.

    Raises:
        UsageError: the ``photos`` extra is not installed.
    """
    try:
        from shopsight.demo.shop import CLICKS, TABLE, generate_shop
    except ModuleNotFoundError as error:
        raise UsageError(
            f"rendering photos requires {error.name}: pip install 'shopsight[photos]', or run the"
            " demo without photos: shopsight demo --world regions"
        ) from error
    from shopsight.prepare.photos.ingest import prepare_photos
    from shopsight.prepare.photos.settings import PhotosSettings
    from shopsight.regions.factory import region_source

    shop = out / "shop"
    generate_shop(shop, SyntheticShopConfig(products=products, queries=products, seed=seed))
    steps.done("generate", f"{products:,} products with photos, table and click log: {shop}")
    data = prepare_photos(
        str(shop / TABLE),
        out / "data",
        region_source("classic"),
        PhotosSettings(columns=PhotoColumnsConfig(text=("title",)), seed=seed),
        clicks=shop / CLICKS,
        force=True,
    )
    count = data.manifest["regions"]["total"]
    steps.done("prepare", f"{count:,} regions extracted: {out / 'data'}")
    return DemoDataset(data, "photos", "Synthetic shop", None)


def small_world_data(out: Path, seed: int, steps: StepLog) -> DemoDataset:
    """Generate the raw files of the small world and prepare them."""
    config = WorldConfig(seed=seed)
    make_world(out / "raw", config)
    steps.done("generate", f"{config.train_rows:,} clicked pairs as raw files: {out / 'raw'}")
    data = prepare_kddcup(out / "raw", out / "data", force=True)
    steps.done("prepare", f"{data.manifest['products']:,} products stored: {out / 'data'}")
    truth = json.loads((out / "raw" / "truth.json").read_text())["valid"]["products"]
    return DemoDataset(data, "tiny", "Small world", lambda product: _description(truth[product]))


def _description(attributes: dict[str, str]) -> str:
    """Short description of a product, the type last.

    >>> _description({"type": "dress", "colour": "red", "material": "silk"})
    'red silk dress'
    """
    others = (value for kind, value in attributes.items() if kind != "type")
    return " ".join([*others, attributes["type"]])
