"""Clicked pairs as arrays that answer at once, and pools of like queries among the clicked ones.

Queries are known by their text here (see `shopsight.negatives.groups`): U texts, C of them
clicked, N distinct clicked pairs of a text and a product.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopsight.errors import DataError
from shopsight.types import BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class ClickIndex:
    """Which products were clicked for which text.

    Attributes:
        width: product numbers are below it.
        keys: (N,) ``text * width + product``, ascending.
        products: (N,) the products, those of text ``i`` at ``offsets[i]:offsets[i + 1]``.
        offsets: (U + 1,).
    """

    width: int
    keys: IntArray
    products: IntArray
    offsets: IntArray

    @classmethod
    def of(cls, texts: NDArray[Any], products: NDArray[Any], count: int) -> ClickIndex:
        """From (n,) texts below ``count`` and their (n,) products; pairs may repeat.

        Raises:
            DataError: there are none.
        """
        if not len(texts):
            raise DataError("there are no clicked pairs to draw negatives for")
        width = int(products.max()) + 1
        keys = np.unique(texts.astype(np.int64) * width + products)
        offsets = np.searchsorted(keys, np.arange(count + 1) * width)
        return cls(width, keys, keys % width, offsets)

    def contain(self, texts: IntArray, products: IntArray) -> BoolArray:
        """(n,) whether each product was clicked for each text (one of the two may be a single)."""
        wanted = texts * self.width + products
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        found: BoolArray = self.keys[place] == wanted
        return found

    @cached_property
    def counts(self) -> IntArray:
        """(U,) how many products were clicked for each text."""
        return np.diff(self.offsets)

    def any_product(self, texts: IntArray, rng: np.random.Generator) -> IntArray:
        """(n,) a random product of each clicked text."""
        start, stop = self.offsets[texts], self.offsets[texts + 1]
        within = (rng.random(len(texts)) * (stop - start)).astype(np.int64)
        return self.products.take(start + within)

    def all_products(self, texts: IntArray) -> IntArray:
        """(n,) every product of every one of the texts, text after text."""
        sizes = self.counts[texts]
        before = np.cumsum(sizes) - sizes
        places: IntArray = np.arange(int(sizes.sum())) + np.repeat(
            self.offsets[texts] - before, sizes
        )
        return self.products.take(places)


@dataclass(frozen=True, eq=False)
class NegativePool:
    """For each text, the clicked texts that are like it (itself can be among them).

    Attributes:
        members: clicked texts, those of text ``i`` at ``starts[i]:starts[i] + sizes[i]``.
        starts: (U,).
        sizes: (U,).
    """

    members: NDArray[np.integer[Any]]
    starts: IntArray
    sizes: IntArray

    @classmethod
    def by_label(cls, labels: NDArray[np.int32], clicks: ClickIndex) -> NegativePool:
        """Texts with the same one of (U,) labels are like each other."""
        clicked = np.flatnonzero(clicks.counts)
        members = clicked[np.argsort(labels[clicked], kind="stable")]
        sizes = np.bincount(labels[clicked], minlength=int(labels.max()) + 1)
        starts = np.cumsum(sizes) - sizes
        return cls(members, starts[labels], sizes[labels])

    @classmethod
    def by_neighbours(cls, neighbours: NDArray[np.int32], clicks: ClickIndex) -> NegativePool:
        """The (U, M) neighbours of each text are like it; -1 stands for none."""
        kept = (neighbours >= 0) & (clicks.counts > 0)[neighbours]
        sizes = kept.sum(axis=1)
        return cls(neighbours[kept], np.cumsum(sizes) - sizes, sizes)

    @classmethod
    def of_all(cls, clicks: ClickIndex) -> NegativePool:
        """All clicked texts are like each text."""
        return cls.by_label(np.zeros(len(clicks.counts), np.int32), clicks)

    def any_member(self, texts: IntArray, rng: np.random.Generator) -> IntArray:
        """(n,) a random like text of each text; each must have one."""
        within = (rng.random(len(texts)) * self.sizes[texts]).astype(np.int64)
        return self.members.take(self.starts[texts] + within).astype(np.int64)

    def all_members(self, text: int) -> IntArray:
        """Every text that is like a text."""
        start = self.starts[text]
        return self.members[start : start + self.sizes[text]].astype(np.int64)
