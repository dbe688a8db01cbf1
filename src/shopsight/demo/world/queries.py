"""Queries of the small world."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopsight.demo.world.products import Products
from shopsight.demo.world.words import KINDS, NOISE, VALUES
from shopsight.types import IntArray

ANY = -1  # in ``wanted``: the attribute is unspecified
_SCANNED = 64  # products scanned per requested match; bounds the time in large worlds


@dataclass(frozen=True, eq=False)
class Query:
    """A query."""

    text: str  # distinct within its split
    wanted: NDArray[np.int8]  # (kinds,) required value index, or `ANY`
    source: int  # index of a relevant product


class QuerySampler:
    """Sampler of queries with distinct texts, each with at least one relevant product."""

    def __init__(self, products: Products, rng: np.random.Generator) -> None:
        self._products = products
        self._random = random.Random(int(rng.integers(2**63)))
        order = rng.permutation(len(products))
        types = products.attributes[:, 0]
        self._of_type = [order[types[order] == t] for t in range(len(VALUES[0]))]
        self._value: set[str] = set()

    def sample(self, max_attributes: int = 3) -> Query:
        """Sample a query about a random product: its type and up to ``max_attributes`` values."""
        source = self._random.randrange(len(self._products))
        count = self._random.choices((0, 1, 2, 3), (1, 5, 4, 1))[0]
        kinds = self._random.sample(range(1, len(KINDS)), min(count, max_attributes))
        wanted = np.full(len(KINDS), ANY, np.int8)
        wanted[[0, *kinds]] = self._products.attributes[source, [0, *kinds]]
        return Query(self._text(wanted, kinds), wanted, source)

    def matches(self, query: Query, limit: int) -> IntArray:
        """At most ``limit`` relevant products: the source, then random ones.

        For a small ``limit``, only a part of a large world is scanned.
        """
        same = self._of_type[query.wanted[0]]
        if len(same) > limit * _SCANNED:
            start = self._random.randrange(len(same) - limit * _SCANNED)
            same = same[start : start + limit * _SCANNED]
        matches = same[satisfies(self._products.attributes[same], query.wanted)]
        others = matches[matches != query.source].tolist()
        others = self._random.sample(others, min(len(others), limit - 1))
        return np.array([query.source, *others])

    def _text(self, wanted: NDArray[np.int8], kinds: list[int]) -> str:
        draw = self._random
        before, after = [], []
        for kind in kinds:
            value = VALUES[kind][wanted[kind]]
            if draw.random() < 0.2:
                after.append(draw.choice(value.after))
            else:
                before.append(draw.choice(value.before))
        noun = draw.choice(VALUES[0][wanted[0]].before)
        if draw.random() < 0.3:
            before.insert(draw.randrange(len(before) + 1), draw.choice(NOISE))
        numbers = 10
        while (text := " ".join([*before, noun, *after])) in self._value:
            before.insert(0, draw.choice((draw.choice(NOISE), f"{draw.randrange(numbers)} no.")))
            numbers *= 10
        self._value.add(text)
        return text


def satisfies(attributes: NDArray[np.int8], wanted: NDArray[np.int8]) -> NDArray[np.bool_]:
    """(n,) mask of products whose ``attributes`` (n, kinds) match ``wanted`` (kinds,)."""
    return np.asarray(((wanted == ANY) | (attributes == wanted)).all(1))
