"""Clicks as sorted arrays for fast lookup, and pools of similar clicked texts.

N is the number of distinct clicked pairs of a text (`shopsight.negatives.groups`) and a product.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopsight.data.region_store import packed_ranges
from shopsight.errors import DataError
from shopsight.types import BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class ClickIndex:
    """Clicked products of each text: those of ``i`` are ``products[offsets[i]:offsets[i + 1]]``.

    ``keys`` (N,) are ``text * width + product``, ascending; ``width`` exceeds every product.
    """

    width: int
    keys: IntArray
    products: IntArray
    offsets: IntArray

    @classmethod
    def of(cls, texts: NDArray[Any], products: NDArray[Any], count: int) -> ClickIndex:
        """Index texts (n,) below ``count`` and their products (n,); pairs may repeat.

        Raises:
            DataError: there are no pairs.
        """
        if not len(texts):
            raise DataError("no clicked pairs to draw negatives for")
        width = int(products.max()) + 1
        keys = np.unique(texts.astype(np.int64) * width + products)
        offsets = np.searchsorted(keys, np.arange(count + 1) * width)
        return cls(width, keys, keys % width, offsets)

    def contains(self, texts: IntArray, products: IntArray) -> BoolArray:
        """(n,) True for clicked pairs; one of the two arguments may be a scalar."""
        keys = texts * self.width + products
        index = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        clicked: BoolArray = self.keys[index] == keys
        return clicked

    @cached_property
    def counts(self) -> IntArray:
        """(U,) clicked products of each text."""
        return np.diff(self.offsets)

    def sample_product(self, texts: IntArray, rng: np.random.Generator) -> IntArray:
        """(n,) a random clicked product of each text; each must have one."""
        start, stop = self.offsets[texts], self.offsets[texts + 1]
        within = (rng.random(len(texts)) * (stop - start)).astype(np.int64)
        return self.products.take(start + within)

    def all_products(self, texts: IntArray) -> IntArray:
        """(n,) all clicked products of the texts, text after text."""
        return self.products.take(packed_ranges(self.offsets[texts], self.counts[texts]))


@dataclass(frozen=True, eq=False)
class NegativePool:
    """For each text, the clicked texts of its group, possibly with itself.

    Those of text ``i`` are ``members[starts[i]:starts[i] + sizes[i]]``.
    """

    members: NDArray[np.integer[Any]]
    starts: IntArray
    sizes: IntArray

    @classmethod
    def by_label(cls, labels: NDArray[np.int32], clicks: ClickIndex) -> NegativePool:
        """Pool the texts with equal labels (U,)."""
        clicked = np.flatnonzero(clicks.counts)
        members = clicked[np.argsort(labels[clicked], kind="stable")]
        sizes = np.bincount(labels[clicked], minlength=int(labels.max()) + 1)
        starts = np.cumsum(sizes) - sizes
        return cls(members, starts[labels], sizes[labels])

    @classmethod
    def by_neighbours(cls, neighbours: NDArray[np.int32], clicks: ClickIndex) -> NegativePool:
        """Pool the neighbours (U, M) of each text; -1 is padding."""
        kept = (neighbours >= 0) & (clicks.counts > 0)[neighbours]
        sizes = kept.sum(axis=1)
        return cls(neighbours[kept], np.cumsum(sizes) - sizes, sizes)

    def sample_member(self, texts: IntArray, rng: np.random.Generator) -> IntArray:
        """(n,) a random pool member for each text; each pool must have one."""
        within = (rng.random(len(texts)) * self.sizes[texts]).astype(np.int64)
        return self.members.take(self.starts[texts] + within).astype(np.int64)

    def all_members(self, text: int) -> IntArray:
        """All pool members of a text."""
        start = self.starts[text]
        return self.members[start : start + self.sizes[text]].astype(np.int64)
