"""What shoppers do in the products that are stored so far."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shopsight.config import QueryGenerationConfig
from shopsight.data.photo_store import PHOTOS
from shopsight.data.split_names import TRAIN
from shopsight.formats.click_logs import Click
from shopsight.prepare.photos.extract_regions import StoredPhotos
from shopsight.prepare.photos.product_words import key_of
from shopsight.prepare.photos.queries_and_splits import Shelves, Shoppers, follow_shoppers
from shopsight.prepare.photos.writers import ProductRows, photo_offsets
from shopsight.types import IntArray


def ask(
    partial: Path,
    config: QueryGenerationConfig,
    seed: int,
    clicks: Sequence[Click] | None,
    *,
    as_given: bool,
    from_column: bool,
) -> tuple[ProductRows, Shoppers]:
    """The products of a preparation, and what shoppers do with them.

    Args:
        partial: its folder.
        config: of queries, splits and pools.
        seed: of everything drawn.
        clicks: the click log, if there is one.
        as_given: take the splits that the table names.
        from_column: whether the table has queries.
    """
    rows = ProductRows(partial)
    photos = StoredPhotos(partial / "data" / PHOTOS, photo_offsets(partial))
    shelves = Shelves.of(rows, photos.digests(), config, seed, as_given=as_given)
    return rows, follow_shoppers(rows, shelves, clicks, config, seed, from_column=from_column)


def asked_words(shoppers: Shoppers, which: IntArray) -> list[list[str]]:
    """The words that products (n,) were asked for with, where no text describes them."""
    found: list[set[str]] = [set() for _ in shoppers.splits]
    for split in shoppers.rows:
        if split.name == TRAIN:
            keys = [key_of(text) for text in split.texts.to_pylist()]
            for query, product in zip(split.queries, split.products, strict=True):
                found[product].update(keys[query])
    return [sorted(found[i]) for i in which.tolist()]
