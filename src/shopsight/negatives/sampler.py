"""Hard negatives: for a clicked (query, product), a query and a product that do not go with it.

They are drawn among queries that are like the query (`shopsight.negatives.groups`), are
never positives, and are found in bounded time: a few random tries, then a scan of the group, then
the next wider group.
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
    """For each of B positives, a negative query (B,) and a negative product (B,)."""

    queries: IntArray
    products: IntArray


class NegativeSampler:
    """Draws negatives for clicked pairs; it keeps no state, the generator decides everything.

    With probability ``config.last_word_fraction`` both negatives of a pair come from its first
    group, else from its other group:

    ============== ================= ======================================================
    source        first             other
    ============== ================= ======================================================
    word-match     same last word    same cluster (the reference's word match)
    sentence-match same last word    half same cluster, half everything (its sentence match)
    overlap        most shared words same cluster (after the first place of KDD Cup 2020)
    ============== ================= ======================================================

    Where a group holds no negative, the next wider one is taken: shared words, last word,
    cluster, everything. Queries are the same where their normalised texts are. A negative query
    is another query, which the product was not clicked for. A negative product was clicked for
    another query of the group, and not for the query.

    Args:
        groups: groups of Q queries.
        queries: (N,) query, 0 to Q - 1, of each clicked pair.
        products: (N,) product, from 0, of each clicked pair.
        config: the share, and how many tries come before a scan.
        source: which groups.

    Raises:
        DataError: there is no clicked pair, or a clicked pair without any negative.
    """

    def __init__(
        self,
        groups: QueryGroups,
        queries: IntArray,
        products: IntArray,
        config: NegativesConfig | None = None,
        source: NegativesFrom = "word-match",
    ) -> None:
        self._config = config or NegativesConfig()
        self._groups = groups
        self._clicks = ClickIndex.of(groups.text[queries], products, len(groups.query))
        _check_possible(self._clicks, groups)
        self._pools = [
            NegativePool.by_label(groups.last_word, self._clicks),
            NegativePool.by_label(groups.cluster, self._clicks),
            NegativePool.of_all(self._clicks),
        ]
        if source == "overlap":
            self._pools.insert(0, NegativePool.by_neighbours(groups.neighbours, self._clicks))
        everything = len(self._pools) - 1
        cluster = everything - 1
        self._others = [cluster, everything if source == "sentence-match" else cluster]

    def draw(self, queries: IntArray, products: IntArray, rng: np.random.Generator) -> Negatives:
        """Draw a negative query and a negative product for each positive.

        Args:
            queries: (B,) query of each positive.
            products: (B,) its product.
            rng: the same state of it gives the same negatives.

        Raises:
            DataError: there is no negative; only pairs that were not clicked can lack one.
            ValueError: a product beyond those the sampler was made with.
        """
        texts = self._groups.text[queries].astype(np.int64)
        products = np.asarray(products, np.int64)
        if len(products) and not 0 <= products.min() <= products.max() < self._clicks.width:
            raise ValueError(f"products must be from 0 to {self._clicks.width - 1}")
        starts = self._first_pools(len(texts), rng)
        others = self._fill(_Draw(self._clicks, texts, products), starts, rng)
        negatives = self._fill(_ProductDraw(self._clicks, texts, products), starts, rng)
        return Negatives(self._groups.query[others].astype(np.int64), negatives)

    def _first_pools(self, count: int, rng: np.random.Generator) -> IntArray:
        """(B,) the pool each positive starts with."""
        first, half = rng.random(count) < self._config.last_word_fraction, rng.random(count) < 0.5
        return np.where(first, 0, np.where(half, *self._others))

    def _fill(self, draw: _Draw, starts: IntArray, rng: np.random.Generator) -> IntArray:
        """(B,) negatives, from the pool in ``starts`` or the first wider one that holds any."""
        found = np.full(len(starts), -1, np.int64)
        for place, pool in enumerate(self._pools):
            waiting = (found < 0) & (starts <= place)
            rows = np.flatnonzero(waiting & (pool.sizes[draw.texts] > 0))
            for _ in range(self._config.tries):
                if not len(rows):
                    break
                values, good = draw.guess(pool, rows, rng)
                found[rows[good]] = values[good]
                rows = rows[~good]
            for row in rows:
                found[row] = _scan(draw, pool, int(row), rng)
        if (found < 0).any():
            raise DataError(f"pair {int((found < 0).argmax())} of the batch has no negative")
        return found


class _Draw:
    """What is drawn for (B,) texts with their (B,) products: here, negative queries."""

    def __init__(self, clicks: ClickIndex, texts: IntArray, products: IntArray) -> None:
        self.clicks, self.texts, self.products = clicks, texts, products

    def guess(
        self, pool: NegativePool, rows: IntArray, rng: np.random.Generator
    ) -> tuple[IntArray, BoolArray]:
        """(n,) a random value for each row, and (n,) whether it is a negative."""
        texts, products = self.texts[rows], self.products[rows]
        others = pool.any_member(texts, rng)
        return others, (others != texts) & ~self.clicks.contain(others, products)

    def negatives(self, row: int, members: IntArray) -> IntArray:
        """All values among members that are negatives of a row."""
        good = members != self.texts[row]
        good &= ~self.clicks.contain(members, self.products[row])
        return members.compress(good)


class _ProductDraw(_Draw):
    """Negative products instead."""

    def guess(
        self, pool: NegativePool, rows: IntArray, rng: np.random.Generator
    ) -> tuple[IntArray, BoolArray]:
        texts = self.texts[rows]
        products = self.clicks.any_product(pool.any_member(texts, rng), rng)
        return products, ~self.clicks.contain(texts, products)

    def negatives(self, row: int, members: IntArray) -> IntArray:
        products = self.clicks.all_products(members)
        return products.compress(~self.clicks.contain(self.texts[row], products))


def _scan(draw: _Draw, pool: NegativePool, row: int, rng: np.random.Generator) -> int:
    """The first negative from a random place of the pool on, round to that place; -1 if none."""
    members = pool.all_members(int(draw.texts[row]))
    members = np.roll(members, -int(rng.integers(len(members))))
    for start in range(0, len(members), _BLOCK):
        negatives = draw.negatives(row, members[start : start + _BLOCK])
        if len(negatives):
            return int(negatives[0])
    return -1


def _check_possible(clicks: ClickIndex, groups: QueryGroups) -> None:
    """Refuse clicks in which some pair has no negative."""
    texts, products = int((clicks.counts > 0).sum()), np.bincount(clicks.products)
    if texts == 1:
        raise DataError("there are no negatives: all clicked queries are the same query")
    greedy = np.flatnonzero(clicks.counts == (products > 0).sum())
    if len(greedy):
        query = int(groups.query[greedy[0]])
        raise DataError(f"query {query} has no negative product: every product was clicked for it")
    popular = np.flatnonzero(products == texts)
    if len(popular):
        raise DataError(f"product {popular[0]} has no negative query: every query clicked it")
