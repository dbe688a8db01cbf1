"""Queries of the small world: what is wanted, in the words of shoppers."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopsight.demo.world.products import Products
from shopsight.demo.world.words import KINDS, NOISE, VALUES
from shopsight.types import IntArray

ANY = -1  # in ``wanted``: the query does not ask for a value of this kind
_LOOKED_AT = 64  # products looked at for each one wanted, so that large worlds stay fast


@dataclass(frozen=True, eq=False)
class Query:
    """What a shopper wants and says.

    Attributes:
        text: distinct within its split.
        wanted: (kinds,) index of the value asked for, `ANY` where none is.
        source: index of a product that satisfies it.
    """

    text: str
    wanted: NDArray[np.int8]
    source: int


class Shopper:
    """Asks queries that products of ``products`` answer, never the same text twice.

    Args:
        products: what there is to ask for.
        rng: draws what is asked and how it is said.
    """

    def __init__(self, products: Products, rng: np.random.Generator) -> None:
        self._products = products
        self._random = random.Random(int(rng.integers(2**63)))
        order = rng.permutation(len(products))
        types = products.attributes[:, 0]
        self._of_type = [order[types[order] == t] for t in range(len(VALUES[0]))]
        self._said: set[str] = set()

    def ask(self, most_attributes: int = 3) -> Query:
        """A new query about a random product, asking for its type and up to three more values."""
        source = self._random.randrange(len(self._products))
        count = self._random.choices((0, 1, 2, 3), (1, 5, 4, 1))[0]
        kinds = self._random.sample(range(1, len(KINDS)), min(count, most_attributes))
        wanted = np.full(len(KINDS), ANY, np.int8)
        wanted[[0, *kinds]] = self._products.attributes[source, [0, *kinds]]
        return Query(self._say(wanted, kinds), wanted, source)

    def matches(self, query: Query, most: int) -> IntArray:
        """At most ``most`` distinct products that satisfy the query: its source, then random ones.

        Where few are wanted of a large world, it is searched in part only.
        """
        same = self._of_type[query.wanted[0]]
        if len(same) > most * _LOOKED_AT:
            start = self._random.randrange(len(same) - most * _LOOKED_AT)
            same = same[start : start + most * _LOOKED_AT]
        found = same[satisfies(self._products.attributes[same], query.wanted)]
        others = found[found != query.source].tolist()
        others = self._random.sample(others, min(len(others), most - 1))
        return np.array([query.source, *others])

    def _say(self, wanted: NDArray[np.int8], kinds: list[int]) -> str:
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
        while (text := " ".join([*before, noun, *after])) in self._said:
            before.insert(0, draw.choice((draw.choice(NOISE), f"{draw.randrange(numbers)} no.")))
            numbers *= 10
        self._said.add(text)
        return text


def satisfies(attributes: NDArray[np.int8], wanted: NDArray[np.int8]) -> NDArray[np.bool_]:
    """(n,) whether products with these ``attributes`` (n, kinds) have all that is ``wanted``."""
    return np.asarray(((wanted == ANY) | (attributes == wanted)).all(1))
