"""Hard-negative sampling: for each clicked (query, product), a negative query and product.

The time is bounded: a few random tries, then a scan of the group, then the next wider group.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shopsight.config import NegativesConfig, NegativesFrom
from shopsight.errors import DataError
from shopsight.negatives.clicks import ClickIndex, NegativePool
from shopsight.negatives.groups import QueryGroups
from shopsight.types import BoolArray, IntArray

_BLOCK = 4096


class Negatives(NamedTuple):
    """A negative query (B,) and a negative product (B,) for each of B positives."""

    queries: IntArray
    products: IntArray


class NegativeSampler:
    """Stateless sampler of negatives for clicked pairs.

    With probability ``config.last_word_fraction`` both negatives of a pair (with ``two_coins`` each
    of them) come from the first group of the source, else from the other one:

    ============== ================= ======================================================
    source         first             other
    ============== ================= ======================================================
    cluster        same last word    same cluster (the reference, for its first model)
    mixed          same last word    half same cluster, half all queries (for its second model)
    overlap        most shared words same cluster (after the first place of KDD Cup 2020)
    ============== ================= ======================================================

    A group without a negative is replaced by the next wider one: shared words, last word, cluster,
    all queries. Queries with equal normalised texts are the same query. A negative query is another
    query, for which the product was not clicked. A negative product was clicked for another query
    of the group, and not for this one.

    The clicked pairs are ``queries`` and ``products`` (N,). `ClickedPairs.sampler` makes uniform
    negatives of a single group.

    Raises:
        DataError: there is no clicked pair, or a clicked pair without any negative.
    """

    def __init__(
        self,
        groups: QueryGroups,
        queries: IntArray,
        products: IntArray,
        config: NegativesConfig | None = None,
        source: NegativesFrom = "cluster",
    ) -> None:
        self._config = config or NegativesConfig()
        self._groups = groups
        self._clicks = ClickIndex.of(groups.text[queries], products, len(groups.query))
        _check_possible(self._clicks, groups)
        self._pools = [
            NegativePool.by_label(groups.last_word, self._clicks),
            NegativePool.by_label(groups.cluster, self._clicks),
            NegativePool.by_label(np.zeros_like(groups.cluster), self._clicks),
        ]
        if source == "overlap":
            self._pools.insert(0, NegativePool.by_neighbours(groups.neighbours, self._clicks))
        everything = len(self._pools) - 1
        cluster = everything - 1
        self._others = [cluster, everything if source == "mixed" else cluster]

    def draw(self, queries: IntArray, products: IntArray, rng: np.random.Generator) -> Negatives:
        """Draw a negative query and product for each positive (B,), determined by ``rng``.

        Raises:
            DataError: a pair, which then was not clicked, has no negative.
            ValueError: a product outside the clicked range.
        """
        texts = self._groups.text[queries].astype(np.int64)
        products = np.asarray(products, np.int64)
        if len(products) and not 0 <= products.min() <= products.max() < self._clicks.width:
            raise ValueError(f"products must be from 0 to {self._clicks.width - 1}")
        starts = self._first_pools(len(texts), rng)
        negatives = self._fill(_QueryDraw(self._clicks, texts, products), starts, rng)
        if self._config.two_coins:
            starts = self._first_pools(len(texts), rng)
        negative_products = self._fill(_ProductDraw(self._clicks, texts, products), starts, rng)
        return Negatives(self._groups.query[negatives].astype(np.int64), negative_products)

    def _first_pools(self, count: int, rng: np.random.Generator) -> IntArray:
        """(B,) index of the pool from which each positive draws first."""
        first, half = rng.random(count) < self._config.last_word_fraction, rng.random(count) < 0.5
        return np.where(first, 0, np.where(half, *self._others))

    def _fill(self, draw: _QueryDraw, starts: IntArray, rng: np.random.Generator) -> IntArray:
        """(B,) negatives, each from its pool in ``starts`` or the next wider one with any."""
        negatives = np.full(len(starts), -1, np.int64)
        for i, pool in enumerate(self._pools):
            waiting = (negatives < 0) & (starts <= i)
            rows = np.flatnonzero(waiting & (pool.sizes[draw.texts] > 0))
            for _ in range(self._config.tries):
                if not len(rows):
                    break
                values = draw.sample(pool, rows, rng)
                is_negative = draw.is_negative(rows, values)
                negatives[rows[is_negative]] = values[is_negative]
                rows = rows[~is_negative]
            for row in rows:
                negatives[row] = _scan(draw, pool, int(row), rng)
        if (negatives < 0).any():
            raise DataError(f"pair {int((negatives < 0).argmax())} of the batch has no negative")
        return negatives


class _QueryDraw:
    """Draws of negative queries for texts (B,) with their products (B,)."""

    def __init__(self, clicks: ClickIndex, texts: IntArray, products: IntArray) -> None:
        self.clicks, self.texts, self.products = clicks, texts, products

    def sample(self, pool: NegativePool, rows: IntArray, rng: np.random.Generator) -> IntArray:
        """(n,) a random value from the pool of each row."""
        return pool.sample_member(self.texts[rows], rng)

    def values(self, members: IntArray) -> IntArray:
        """All values of pool members."""
        return members

    def is_negative(self, rows: IntArray | int, values: IntArray) -> BoolArray:
        """(n,) True where a value is a negative of its row."""
        clicked: BoolArray = self.clicks.contains(values, self.products[rows])
        return ~clicked & np.not_equal(values, self.texts[rows])


class _ProductDraw(_QueryDraw):
    """Draws of negative products."""

    def sample(self, pool: NegativePool, rows: IntArray, rng: np.random.Generator) -> IntArray:
        return self.clicks.sample_product(super().sample(pool, rows, rng), rng)

    def values(self, members: IntArray) -> IntArray:
        return self.clicks.all_products(members)

    def is_negative(self, rows: IntArray | int, values: IntArray) -> BoolArray:
        return ~self.clicks.contains(self.texts[rows], values)


def _scan(draw: _QueryDraw, pool: NegativePool, row: int, rng: np.random.Generator) -> int:
    """The first negative in the pool from a random start, wrapping around; -1 if none."""
    members = pool.all_members(int(draw.texts[row]))
    members = np.roll(members, -int(rng.integers(len(members))))
    for start in range(0, len(members), _BLOCK):
        values = draw.values(members[start : start + _BLOCK])
        if (is_negative := draw.is_negative(row, values)).any():
            return int(values[is_negative.argmax()])
    return -1


def _check_possible(clicks: ClickIndex, groups: QueryGroups) -> None:
    """Raise unless every clicked pair has a negative query and a negative product."""
    texts, products = int((clicks.counts > 0).sum()), np.bincount(clicks.products)
    if texts == 1:
        raise DataError("no negatives exist: all clicked queries are the same query")
    clicked_all = np.flatnonzero(clicks.counts == (products > 0).sum())
    if len(clicked_all):
        query = int(groups.query[clicked_all[0]])
        raise DataError(f"query {query} has no negative product: every product was clicked for it")
    clicked_by_all = np.flatnonzero(products == texts)
    if len(clicked_by_all):
        product = clicked_by_all[0]
        raise DataError(f"product {product} has no negative query: it was clicked for every query")
