"""Synthetic shop: a few thousand products with rendered photos and known attributes.

Garments, shoes, bags, furniture and household items vary in colour, pattern and style; they are
worn by people, placed in rooms or on plain backgrounds, some next to another object. Queries use
free word order. A product is relevant to a query exactly when it has every requested attribute.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from shopsight.config import SyntheticShopConfig
from shopsight.demo.shop.products import Product, sample_products
from shopsight.demo.shop.queries import Query, sample_queries
from shopsight.demo.shop.scenes import render_photo
from shopsight.errors import OutputError
from shopsight.formats.atomic import atomic_write

__all__ = ["CLICKS", "PHOTOS", "TABLE", "TRUTH", "generate_shop"]

TABLE, CLICKS, TRUTH, PHOTOS = "products.csv", "clicks.csv", "truth.json", "photos"
_QUALITY = 88


def generate_shop(folder: Path, config: SyntheticShopConfig) -> None:
    """Write a product table, a folder of photos and a click log.

    ``products.csv`` has id, image, title, category, colour, price and in_stock; ``clicks.csv`` has
    query, product_id and clicks; ``truth.json`` gives the attributes of products and queries::

        {"products": {id: {"kind": "dress", ...}}, "queries": {text: {"kind": "dress", ...}}}

    Deterministic. Existing files are replaced. Raises OutputError if the folder cannot be written.
    """
    rng = random.Random(config.seed)
    products = sample_products(config.products, rng)
    queries = sample_queries(products, config.queries, config.most_matches, rng)
    try:
        (folder / PHOTOS).mkdir(parents=True, exist_ok=True)
        for product in products:
            render_photo(product).save(folder / _photo(product), quality=_QUALITY)
    except OSError as error:
        raise OutputError(f"{folder}: cannot write photos here, {error.strerror}") from error
    _write_clicks(folder / CLICKS, products, queries, rng)
    _write_truth(folder / TRUTH, products, queries)
    _write_table(folder / TABLE, products)  # last: its presence marks a complete shop


def _photo(product: Product) -> str:
    return f"{PHOTOS}/{product.id}.jpg"


def _write_table(path: Path, products: Sequence[Product]) -> None:
    rows = (
        (product.id, _photo(product), product.title, product.of.category,
         product.attributes["colour"], f"{product.price:.2f}", str(product.in_stock).lower())
        for product in products
    )  # fmt: skip
    _write_csv(path, ("id", "image", "title", "category", "colour", "price", "in_stock"), rows)


def _write_clicks(
    path: Path, products: Sequence[Product], queries: Sequence[Query], rng: random.Random
) -> None:
    rows = (
        (query.text, products[number].id, 1 + int(rng.expovariate(0.5)))
        for query in queries
        for number in query.products
    )
    _write_csv(path, ("query", "product_id", "clicks"), rows)


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with atomic_write(path) as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


def _write_truth(path: Path, products: Sequence[Product], queries: Sequence[Query]) -> None:
    truth = {
        "products": {product.id: product.attributes for product in products},
        "queries": {query.text: query.wanted for query in queries},
    }
    with atomic_write(path) as file:
        json.dump(truth, file)
