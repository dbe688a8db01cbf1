"""Small world: a catalogue with known ground truth in the competition's raw format, at any size.

Products have attributes (type, colour, pattern, material, audience, style), which their region
features encode as noisy directions. Queries mention some attributes in varying words. A candidate
is relevant exactly when it has every attribute of its query.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from shopsight.config import WorldConfig
from shopsight.demo.world.files import (
    RawRows,
    truth,
    write_answers,
    write_labels,
    write_rows,
)
from shopsight.demo.world.pools import sample_pools
from shopsight.demo.world.products import Features, sample_products
from shopsight.demo.world.queries import Query, QuerySampler
from shopsight.errors import UsageError
from shopsight.formats.atomic import atomic_write

__all__ = ["make_world"]

_FIRST_ID = 100_000_000


def make_world(folder: Path, config: WorldConfig) -> None:
    """Write the raw files of a small world in bounded memory; byte-identical for equal settings.

    Each split S gets ``S/S.tsv`` and, if it is an evaluation split, ``S/S_answer.json``; beside
    them are ``multimodal_labels.txt`` and ``truth.json``, the attributes of every product and
    query by split::

        {"valid": {"products": {id: {"type": "dress", ...}}, "queries": {id: {...}}}, ...}

    Raises:
        UsageError: inconsistent sizes.
        OutputError: the folder cannot be written.
    """
    _check(config)
    folder.mkdir(parents=True, exist_ok=True)
    features = Features(config.feature_width, config.noise, np.random.default_rng([config.seed, 0]))
    attributes = {}
    next_id = _FIRST_ID
    for i, split in enumerate(config.splits):
        rng = np.random.default_rng([config.seed, 1, i])
        count = config.train_products if split == "train" else config.eval_products
        products = sample_products(count, next_id, rng)
        next_id += count
        sampler = QuerySampler(products, rng)
        path = folder / split / f"{split}.tsv"
        if split == "train":
            rows = _clicks(sampler, config.train_rows, rng)
        else:
            pools = sample_pools(products, sampler, config, rng)
            path.parent.mkdir(exist_ok=True)
            write_answers(path.with_name(f"{split}_answer.json"), pools, products)
            sizes = [len(pool.candidates) for pool in pools]
            rows = RawRows(
                [pool.query for pool in pools],
                np.repeat(np.arange(len(pools)), sizes),
                np.concatenate([pool.candidates for pool in pools]),
            )
        write_rows(path, rows, products, features)
        attributes[split] = truth(products, rows.queries)
    write_labels(folder / "multimodal_labels.txt")
    with atomic_write(folder / "truth.json") as file:
        file.write(json.dumps(attributes))


def _clicks(sampler: QuerySampler, count: int, rng: np.random.Generator) -> RawRows:
    """Sample ``count`` clicked pairs in random order; most queries have one or two clicks."""
    queries: list[Query] = []
    query_idx: list[int] = []
    product_idx: list[int] = []
    while len(product_idx) < count:
        query = sampler.sample()
        clicked = sampler.matches(query, min(rng.geometric(0.45), count - len(product_idx)))
        product_idx.extend(clicked.tolist())
        query_idx.extend([len(queries)] * (len(product_idx) - len(query_idx)))
        queries.append(query)
    order = rng.permutation(count)
    return RawRows(queries, np.array(query_idx)[order], np.array(product_idx)[order])


def _check(config: WorldConfig) -> None:
    minimum = {
        "train_rows": 1,
        "train_products": 1,
        "eval_queries": 1,
        "feature_width": 1,
        "relevant": 1,
        "pool_size": config.relevant + 1,
        "eval_products": config.pool_size,
    }
    for name, least in minimum.items():
        if getattr(config, name) < least:
            raise UsageError(f"{name} of a small world must be at least {least}")
    if not config.splits or len(set(config.splits)) < len(config.splits):
        raise UsageError("splits of a small world must be distinct names, at least one")
