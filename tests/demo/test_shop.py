"""Synthetic shop: determinism, ground truth and distinct photos."""

from __future__ import annotations

import csv
import io
import json
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shopsight.config import SyntheticShopConfig
from shopsight.demo.shop import CLICKS, PHOTOS, TABLE, TRUTH, generate_shop
from shopsight.demo.shop.cloth import PATTERNS as CLOTHS
from shopsight.demo.shop.cloth import cloth
from shopsight.demo.shop.pen import Pen
from shopsight.demo.shop.products import Product, sample_products
from shopsight.demo.shop.queries import sample_queries
from shopsight.demo.shop.scenes import render_photo
from shopsight.demo.shop.words import COLOURS, KINDS, PATTERNS, RGB
from shopsight.errors import OutputError, UsageError

CONFIG = SyntheticShopConfig(products=150, queries=120, seed=3)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "shop"
    generate_shop(folder, CONFIG)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_generation_is_seeded(shop: Path, tmp_path: Path) -> None:
    generate_shop(tmp_path / "again", CONFIG)
    generate_shop(tmp_path / "other", SyntheticShopConfig(products=150, queries=120, seed=4))
    paths = sorted(path.relative_to(shop) for path in shop.rglob("*") if path.is_file())
    assert len(paths) == 153
    for path in paths:
        assert (tmp_path / "again" / path).read_bytes() == (shop / path).read_bytes(), path
    assert (tmp_path / "other" / TABLE).read_bytes() != (shop / TABLE).read_bytes()


def test_the_table_matches_the_ground_truth(shop: Path) -> None:
    table, truth = rows(shop / TABLE), json.loads((shop / TRUTH).read_text())
    assert [row["id"] for row in table] == list(truth["products"])
    assert {row["category"] for row in table} == {kind.category for kind in KINDS}
    by_name = {kind.name: kind for kind in KINDS}
    for row in table:
        attributes = truth["products"][row["id"]]
        kind = by_name[attributes["kind"]]
        assert row["colour"] == attributes["colour"]
        assert any(noun in row["title"] for noun in kind.nouns)
        assert kind.price[0] - 1 < float(row["price"]) < kind.price[1] + 1
        assert row["in_stock"] in ("true", "false")
        with Image.open(shop / row["image"]) as photo:
            assert photo.mode == "RGB"
            assert 100 <= min(photo.size) <= max(photo.size) <= 192
    assert len(list((shop / PHOTOS).iterdir())) == len(table)


def test_clicked_products_are_exactly_the_relevant_ones(shop: Path) -> None:
    truth = json.loads((shop / TRUTH).read_text())
    clicked = defaultdict(set)
    for row in rows(shop / CLICKS):
        clicked[row["query"]].add(row["product_id"])
        assert int(row["clicks"]) >= 1
    assert set(clicked) == set(truth["queries"])
    assert len(clicked) == CONFIG.queries
    for text, wanted in truth["queries"].items():
        relevant = {
            product
            for product, attributes in truth["products"].items()
            if all(attributes[name] == value for name, value in wanted.items())
        }
        assert clicked[text] == relevant
        assert 1 <= len(relevant) <= CONFIG.most_matches
        assert len(wanted) >= 2


def test_a_small_shop_has_few_queries() -> None:
    products = sample_products(1, random.Random(0))
    queries = sample_queries(products, 10_000, 5, random.Random(0))
    assert 1 < len(queries) < 10_000
    assert all(query.products == (0,) for query in queries)


def product(kind: int, style: int, pattern: int = 0, seed: int = 1) -> Product:
    return Product(0, kind, style, 6, pattern, 12, "", 1.0, True, seed)


@pytest.mark.parametrize("kind_idx", range(len(KINDS)), ids=[kind.name for kind in KINDS])
def test_styles_and_patterns_are_visible_and_distinct(kind_idx: int) -> None:
    kind = KINDS[kind_idx]
    photos = []
    for style in range(len(kind.styles)):
        for pattern in (0, 1):
            photo = np.asarray(render_photo(product(kind_idx, style, pattern)), np.int16)
            corner = photo[2, 2]
            assert (np.abs(photo - corner).sum(2) > 60).mean() > 0.03, kind.styles[style].name
            photos.append(photo)
    for i, photo in enumerate(photos):
        for other in photos[i + 1 :]:
            assert (photo != other).any()


def test_wordings_are_unambiguous() -> None:
    for values in (COLOURS, PATTERNS, *(kind.styles for kind in KINDS)):
        wordings = [word for value in values for word in {*value.before, *value.after}]
        assert len(wordings) == len(set(wordings))
    nouns = [noun for kind in KINDS for noun in kind.nouns]
    assert len(nouns) == len(set(nouns))


def test_a_photo_shows_the_colour() -> None:
    kind = next(i for i, kind in enumerate(KINDS) if kind.name == "cushion")
    for colour, name in enumerate(RGB):
        cushion = Product(0, kind, 0, colour, 0, 0, "", 1.0, True, 7)
        photo = np.asarray(render_photo(cushion), np.int16)
        height, width = photo.shape[:2]
        middle = photo[height // 2 - 8 : height // 2 + 8, width // 2 - 8 : width // 2 + 8]
        away = np.abs(middle.mean((0, 1)) - RGB[name]).max()
        assert away < 45, name


@pytest.mark.parametrize("pattern", sorted(CLOTHS))
def test_a_pattern_has_both_colours(pattern: str) -> None:
    ground, figure = RGB["white"], RGB["navy"]
    image = cloth(pattern, (200, 200), ground, figure, random.Random(0))
    assert image is not None
    counts = {colour: count for count, colour in image.getcolors(1000) or []}
    assert counts[ground] > 0.1 * 200 * 200
    assert counts[figure] > 0.03 * 200 * 200
    assert cloth("plain", (9, 9), ground, figure, random.Random(0)) is None


def test_shapes_are_relative_to_the_frame() -> None:
    fills = {"main": (200, 0, 0), "deep": (100, 0, 0)}
    pen = Pen((100, 80), (20, 10, 60, 50), fills, None, random.Random(0))
    pen.block((0, 0, 1, 1))
    pen.hole([(0, 0), (0.5, 0), (0.5, 1), (0, 1)], smooth=False)
    drawn = np.asarray(pen.onto(Image.new("RGB", (100, 80), (255, 255, 255)), shadow=0))
    red = (drawn[..., 1] < 100) & (drawn[..., 0] > 90)
    ys, xs = np.nonzero(red)
    assert (ys.min(), ys.max()) == pytest.approx((10, 49), abs=1)
    assert (xs.min(), xs.max()) == pytest.approx((41, 59), abs=1)


def test_unwritable_folders_and_invalid_settings(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write photos here"):
        generate_shop(tmp_path / "file", SyntheticShopConfig(products=1, queries=1))
    with pytest.raises(UsageError, match="products must be at least 1"):
        SyntheticShopConfig(products=0)


def test_photo_files_are_small() -> None:
    file = io.BytesIO()
    render_photo(product(0, 0)).save(file, "JPEG", quality=88)
    assert len(file.getvalue()) < 20_000
