"""The drawn catalogue: a shop of a few thousand products, their photos drawn, the truth known.

Garments, shoes, bags, furniture and things of the house come in colours, patterns and styles, on
people, in rooms, before plain backgrounds, some with another thing beside them. Shoppers ask for
them in free word order. A product answers a query exactly when it has everything that is asked.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Sequence
from pathlib import Path

from shopsight.config import SyntheticShopConfig
from shopsight.demo.shop.products import Product, draw_products
from shopsight.demo.shop.queries import Query, draw_queries
from shopsight.demo.shop.scenes import photo_of
from shopsight.errors import OutputError
from shopsight.formats.atomic import atomic_write

__all__ = ["CLICKS", "PHOTOS", "TABLE", "TRUTH", "draw_catalogue"]

TABLE, CLICKS, TRUTH, PHOTOS = "products.csv", "clicks.csv", "truth.json", "photos"
_QUALITY = 88


def draw_catalogue(folder: Path, config: SyntheticShopConfig) -> None:
    """Draw a catalogue as a shop would have it: a table, a folder of photos, a log of clicks.

    ``products.csv`` has id, image, title, category, colour, price and in_stock; ``clicks.csv`` has
    query, product_id and clicks; ``truth.json`` gives the attributes of products and queries::

        {"products": {id: {"kind": "dress", ...}}, "queries": {text: {"kind": "dress", ...}}}

    The same settings give the same catalogue.

    Args:
        folder: created where it is missing; its files are replaced.
        config: how many of everything.

    Raises:
        OutputError: the folder cannot be written.
    """
    rng = random.Random(config.seed)
    products = draw_products(config.products, rng)
    queries = draw_queries(products, config.queries, config.most_matches, rng)
    try:
        (folder / PHOTOS).mkdir(parents=True, exist_ok=True)
        for product in products:
            photo_of(product).save(folder / _photo(product), quality=_QUALITY)
    except OSError as error:
        raise OutputError(f"{folder}: cannot write photos here, {error.strerror}") from error
    _write_clicks(folder / CLICKS, products, queries, rng)
    _write_truth(folder / TRUTH, products, queries)
    _write_table(folder / TABLE, products)  # last: with it, the catalogue is whole


def _photo(product: Product) -> str:
    return f"{PHOTOS}/{product.id}.jpg"


def _write_table(path: Path, products: Sequence[Product]) -> None:
    with atomic_write(path) as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["id", "image", "title", "category", "colour", "price", "in_stock"])
        for one in products:
            colour, price = one.attributes["colour"], f"{one.price:.2f}"
            stock = str(one.in_stock).lower()
            rows.writerow([one.id, _photo(one), one.title, one.of.category, colour, price, stock])


def _write_clicks(
    path: Path, products: Sequence[Product], queries: Sequence[Query], rng: random.Random
) -> None:
    with atomic_write(path) as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["query", "product_id", "clicks"])
        for query in queries:
            for number in query.products:
                clicks = 1 + int(rng.expovariate(0.5))
                rows.writerow([query.text, products[number].id, clicks])


def _write_truth(path: Path, products: Sequence[Product], queries: Sequence[Query]) -> None:
    truth = {
        "products": {one.id: one.attributes for one in products},
        "queries": {one.text: one.wanted for one in queries},
    }
    with atomic_write(path) as file:
        json.dump(truth, file)
