"""Candidate pools of the small world, built so that they give nothing away.

In the competition a product that stands in few pools is probably relevant. Here every product
stands in the same number of pools, or in one more where the places do not divide evenly; the
places beyond are given so that the share of relevant candidates is the same at both counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopsight.config import WorldConfig
from shopsight.demo.world.products import Products
from shopsight.demo.world.queries import Query, Shopper, satisfies
from shopsight.types import IntArray

_SAME_TYPE, _SAME_COLOUR = 0.5, 0.2  # shares of the candidates that are not relevant


@dataclass(frozen=True, eq=False)
class Pool:
    """The candidates of one query, as product indices.

    Attributes:
        query: what is asked.
        relevant: all candidates that satisfy the query.
        candidates: distinct products, the relevant ones among them, in random order.
    """

    query: Query
    relevant: IntArray
    candidates: IntArray


def draw_pools(
    products: Products, shopper: Shopper, config: WorldConfig, rng: np.random.Generator
) -> list[Pool]:
    """Draw the queries of one evaluation split and the candidates of each."""
    count, size = config.eval_queries, config.pool_size
    share, extra = divmod(count * size, len(products))
    free = np.full(len(products), max(1, share))
    asked = []
    for _ in range(count):
        query, relevant = _relevant(shopper, config.relevant, free, rng)
        free[relevant] -= 1
        asked.append((query, relevant))
    left = free + share - max(1, share) + _one_more(max(1, share) - free, share, extra, rng)
    pools: dict[int, Pool] = {}
    for i in rng.permutation(count).tolist():
        query, relevant = asked[i]
        others = _others(products, query, size - len(relevant), left, rng)
        left[others] -= 1
        pools[i] = Pool(query, relevant, rng.permutation(np.concatenate([relevant, others])))
    return [pools[i] for i in range(count)]


def _relevant(
    shopper: Shopper, most: int, free: IntArray, rng: np.random.Generator
) -> tuple[Query, IntArray]:
    """A query that at least three products with a free place satisfy, if a few tries find one."""
    for most_attributes in (3, 3, 3, 2, 2, 1, 1, 0):
        query = shopper.ask(most_attributes)
        found = shopper.matches(query, len(free))
        found = found[free[found] > 0]
        if len(found) >= min(3, most):
            break
    if len(found) == 0:
        return query, np.array([query.source])
    return query, rng.permutation(found)[:most]


def _one_more(
    relevant: IntArray, share: int, extra: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Which ``extra`` of the products get a place more than their ``share``.

    Their chance rises with how often they are ``relevant`` (P,), just so much that the mean
    among them is (share + 1) / share of the mean among the rest.
    """
    part = extra / len(relevant)
    mean, variance = relevant.mean(), relevant.var()
    tilt = mean * (1 - part) / (share + part) / variance if variance and extra else 0.0
    order = rng.permutation(len(relevant))
    chance = np.clip(part * (1 + tilt * (relevant[order] - mean)), 0, 1)
    # Systematic sampling: each product is taken with exactly its chance.
    steps = np.floor(np.cumsum(chance) + rng.random())
    taken = np.zeros(len(relevant), bool)
    taken[order[np.diff(steps, prepend=0) > 0]] = True
    return taken


def _others(
    products: Products, query: Query, count: int, left: IntArray, rng: np.random.Generator
) -> IntArray:
    """Products that do not satisfy the query: of its type, of its colour, or any."""
    attributes = products.attributes
    allowed = ~satisfies(attributes, query.wanted)
    chosen: list[int] = []

    def take(these: IntArray, most: int) -> None:
        chosen.extend(these[: max(0, most)])
        allowed[these[: max(0, most)]] = False

    colour = query.wanted[1] if query.wanted[1] >= 0 else attributes[query.source, 1]
    for kind, value, share in (0, query.wanted[0], _SAME_TYPE), (1, colour, _SAME_COLOUR):
        same = np.flatnonzero(allowed & (left > 0) & (attributes[:, kind] == value))
        take(rng.permutation(same), round(count * share))
    # The rest are those with the most places left, so that every place is taken in the end.
    rest = rng.permutation(np.flatnonzero(allowed))
    take(rest[np.argsort(-left[rest], kind="stable")], count - len(chosen))
    return np.array(chosen, np.int64)
