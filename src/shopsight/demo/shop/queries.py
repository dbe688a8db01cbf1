"""What shoppers ask the drawn catalogue for, in free word order, and which products answer."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from shopsight.demo.shop.products import Product
from shopsight.demo.shop.words import COLOURS, KINDS, PATTERNS, Value

_ASKED = ("colour", "pattern", "style")
_COUNTS, _SHARES = (1, 2, 3), (4, 5, 1)  # how many attributes, and how often
_TRIES = 30


@dataclass(frozen=True)
class Query:
    """A query and its truth.

    Attributes:
        text: what was typed.
        wanted: the attributes that a product must have.
        products: the numbers of all products that have them.
    """

    text: str
    wanted: dict[str, str]
    products: tuple[int, ...]


def draw_queries(
    products: Sequence[Product], count: int, most: int, rng: random.Random
) -> list[Query]:
    """Distinct queries; each is about a random product, and answered by at most ``most``.

    Fewer than ``count`` where the catalogue is too small for so many.
    """
    having: dict[tuple[str, str], set[int]] = defaultdict(set)
    for product in products:
        for item in product.attributes.items():
            having[item].add(product.number)
    found: dict[str, Query] = {}
    for _ in range(count * _TRIES):
        if len(found) == count:
            break
        source = rng.choice(products)
        asked = rng.sample(_ASKED, rng.choices(_COUNTS, _SHARES)[0])
        have = source.attributes
        wanted = {name: have[name] for name in ("kind", *asked)}
        matches = set.intersection(*(having[item] for item in wanted.items()))
        text = _say(source, asked, rng)
        if len(matches) <= most and text not in found:
            found[text] = Query(text, wanted, tuple(sorted(matches)))
    return list(found.values())


def _say(product: Product, asked: Sequence[str], rng: random.Random) -> str:
    """In the words of shoppers: attributes before or behind the noun, in any order."""
    kind = KINDS[product.kind]
    values: dict[str, Value] = {
        "colour": COLOURS[product.colour],
        "pattern": PATTERNS[product.pattern],
        "style": kind.styles[product.style],
    }
    before: list[str] = []
    after: list[str] = []
    for name in asked:
        value = values[name]
        if value.after and rng.random() < 0.3:
            after.append(rng.choice(value.after))
        else:
            before.append(rng.choice(value.before))
    noun = rng.choice(kind.nouns)
    if not after and rng.random() < 0.12:
        return " ".join([noun, *before])
    return " ".join([*before, noun, *after])
