"""The small world: a catalogue with known truth, in the competition's raw layout, at any size.

Products have attributes (type, colour, pattern, material, audience, style), and their regions
show them as noisy directions in feature space. Queries ask for some attributes in the words of
shoppers. A candidate is relevant exactly when it has everything its query asks for.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from shopsight.config import WorldConfig
from shopsight.demo.world.files import (
    Rows,
    truth,
    write_answers,
    write_labels,
    write_rows,
)
from shopsight.demo.world.pools import draw_pools
from shopsight.demo.world.products import Features, draw_products
from shopsight.demo.world.queries import Query, Shopper
from shopsight.errors import UsageError
from shopsight.formats.atomic import atomic_write

__all__ = ["make_world"]

_FIRST_ID = 100_000_000


def make_world(folder: Path, config: WorldConfig) -> None:
    """Write the raw files of a small world, and its truth.

    Memory stays small however large the world is. The same settings give the same bytes.
    ``folder`` then holds, for each split S, ``S/S.tsv`` and (evaluation splits) the file
    ``S/S_answer.json``; ``multimodal_labels.txt``; and ``truth.json``, which gives the
    attributes of every product and query of every split::

        {"valid": {"products": {id: {"type": "dress", ...}}, "queries": {id: {...}}}, ...}

    Args:
        folder: created where it is missing; its files are replaced.
        config: sizes, noise, splits and seed.

    Raises:
        UsageError: sizes that no world can have.
        OutputError: the folder cannot be written.
    """
    _check(config)
    folder.mkdir(parents=True, exist_ok=True)
    features = Features(config.feature_width, config.noise, np.random.default_rng([config.seed, 0]))
    known = {}
    next_id = _FIRST_ID
    for i, split in enumerate(config.splits):
        rng = np.random.default_rng([config.seed, 1, i])
        count = config.train_products if split == "train" else config.eval_products
        products = draw_products(count, next_id, rng)
        next_id += count
        shopper = Shopper(products, rng)
        path = folder / split / f"{split}.tsv"
        if split == "train":
            rows = _clicks(shopper, config.train_rows, rng)
        else:
            pools = draw_pools(products, shopper, config, rng)
            path.parent.mkdir(exist_ok=True)
            write_answers(path.with_name(f"{split}_answer.json"), pools, products)
            sizes = [len(pool.candidates) for pool in pools]
            rows = Rows(
                [pool.query for pool in pools],
                np.repeat(np.arange(len(pools)), sizes),
                np.concatenate([pool.candidates for pool in pools]),
            )
        write_rows(path, rows, products, features)
        known[split] = truth(products, rows.queries)
    write_labels(folder / "multimodal_labels.txt")
    with atomic_write(folder / "truth.json") as file:
        file.write(json.dumps(known))


def _clicks(shopper: Shopper, count: int, rng: np.random.Generator) -> Rows:
    """``count`` clicked pairs in random order: a query about once, twice, seldom more often."""
    queries: list[Query] = []
    query_idx: list[int] = []
    product_idx: list[int] = []
    while len(product_idx) < count:
        query = shopper.ask()
        clicked = shopper.matches(query, min(rng.geometric(0.45), count - len(product_idx)))
        product_idx.extend(clicked.tolist())
        query_idx.extend([len(queries)] * (len(product_idx) - len(query_idx)))
        queries.append(query)
    order = rng.permutation(count)
    return Rows(queries, np.array(query_idx)[order], np.array(product_idx)[order])


def _check(config: WorldConfig) -> None:
    smallest = {
        "train_rows": 1,
        "train_products": 1,
        "eval_queries": 1,
        "feature_width": 1,
        "relevant": 1,
        "pool_size": config.relevant + 1,
        "eval_products": config.pool_size,
    }
    for name, least in smallest.items():
        if getattr(config, name) < least:
            raise UsageError(f"{name} of a small world must be at least {least}")
    if not config.splits or len(set(config.splits)) < len(config.splits):
        raise UsageError("splits of a small world must be distinct names, at least one")
