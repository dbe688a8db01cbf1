"""Leak-free candidate pools of the small world.

In the competition, products in few pools are probably relevant. Here every product is in the same
number of pools, or in one more if the slots do not divide evenly; extra slots are assigned so that
the fraction of relevant candidates is equal at both counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopsight.config import WorldConfig
from shopsight.demo.world.products import Products
from shopsight.demo.world.queries import Query, QuerySampler, satisfies
from shopsight.types import IntArray

_SAME_TYPE, _SAME_COLOUR = 0.5, 0.2  # fractions of the distractors


@dataclass(frozen=True, eq=False)
class Pool:
    """The candidates of a query, as product indices."""

    query: Query
    relevant: IntArray  # all relevant candidates
    candidates: IntArray  # distinct, including the relevant, in random order


def sample_pools(
    products: Products, sampler: QuerySampler, config: WorldConfig, rng: np.random.Generator
) -> list[Pool]:
    """Sample the queries of an evaluation split and their candidates."""
    count, size = config.eval_queries, config.pool_size
    per_product, extra = divmod(count * size, len(products))
    slots = max(1, per_product)
    free = np.full(len(products), slots)
    sampled = []
    for _ in range(count):
        query, relevant = _relevant(sampler, config.relevant, free, rng)
        free[relevant] -= 1
        sampled.append((query, relevant))
    left = free + per_product - slots + _extra_slots(slots - free, per_product, extra, rng)
    pools: dict[int, Pool] = {}
    for i in rng.permutation(count).tolist():
        query, relevant = sampled[i]
        others = _distractors(products, query, size - len(relevant), left, rng)
        left[others] -= 1
        pools[i] = Pool(query, relevant, rng.permutation(np.concatenate([relevant, others])))
    return [pools[i] for i in range(count)]


def _relevant(
    sampler: QuerySampler, limit: int, free: IntArray, rng: np.random.Generator
) -> tuple[Query, IntArray]:
    """Sample a query with, if possible, at least three relevant products that have a free slot."""
    for max_attributes in (3, 3, 3, 2, 2, 1, 1, 0):
        query = sampler.sample(max_attributes)
        matches = sampler.matches(query, len(free))
        matches = matches[free[matches] > 0]
        if len(matches) >= min(3, limit):
            break
    if len(matches) == 0:
        return query, np.array([query.source])
    return query, rng.permutation(matches)[:limit]


def _extra_slots(
    relevant: IntArray, per_product: int, extra: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Sample ``extra`` products that get a slot more than ``per_product``.

    The probability rises with the number of queries a product is ``relevant`` (P,) to, just enough
    that the mean among the sampled is (per_product + 1) / per_product times that of the others.
    """
    fraction = extra / len(relevant)
    mean, variance = relevant.mean(), relevant.var()
    slope = (
        mean * (1 - fraction) / (per_product + fraction) / variance if variance and extra else 0.0
    )
    order = rng.permutation(len(relevant))
    probability = np.clip(fraction * (1 + slope * (relevant[order] - mean)), 0, 1)
    # Systematic sampling gives each product exactly its inclusion probability.
    steps = np.floor(np.cumsum(probability) + rng.random())
    sampled = np.zeros(len(relevant), bool)
    sampled[order[np.diff(steps, prepend=0) > 0]] = True
    return sampled


def _distractors(
    products: Products, query: Query, count: int, left: IntArray, rng: np.random.Generator
) -> IntArray:
    """Sample irrelevant products: of the query's type, of its colour, and others."""
    attributes = products.attributes
    allowed = ~satisfies(attributes, query.wanted)
    chosen: list[int] = []

    def take(products: IntArray, limit: int) -> None:
        taken = products[: max(0, limit)]
        chosen.extend(taken)
        allowed[taken] = False

    colour = query.wanted[1] if query.wanted[1] >= 0 else attributes[query.source, 1]
    for kind, value, fraction in (0, query.wanted[0], _SAME_TYPE), (1, colour, _SAME_COLOUR):
        same = np.flatnonzero(allowed & (left > 0) & (attributes[:, kind] == value))
        take(rng.permutation(same), round(count * fraction))
    # The rest come from the products with the most slots left, so that no slot stays empty.
    rest = rng.permutation(np.flatnonzero(allowed))
    take(rest[np.argsort(-left[rest], kind="stable")], count - len(chosen))
    return np.array(chosen, np.int64)
