"""Queries of the synthetic shop in free word order, with their relevant products."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from shopsight.demo.shop.products import Product
from shopsight.demo.shop.words import COLOURS, KINDS, PATTERNS, Value

_ATTRIBUTES = ("colour", "pattern", "style")
_COUNTS, _WEIGHTS = (1, 2, 3), (4, 5, 1)  # number of requested attributes and its frequencies
_TRIES = 30


@dataclass(frozen=True)
class Query:
    """A query with its ground truth."""

    text: str
    wanted: dict[str, str]  # required attributes
    products: tuple[int, ...]  # numbers of all products that have them


def sample_queries(
    products: Sequence[Product], count: int, max_matches: int, rng: random.Random
) -> list[Query]:
    """Sample distinct queries about random products with at most ``max_matches`` relevant ones.

    A small shop may yield fewer than ``count``.
    """
    numbers: dict[tuple[str, str], set[int]] = defaultdict(set)
    for product in products:
        for item in product.attributes.items():
            numbers[item].add(product.number)
    queries: dict[str, Query] = {}
    for _ in range(count * _TRIES):
        if len(queries) == count:
            break
        source = rng.choice(products)
        names = rng.sample(_ATTRIBUTES, rng.choices(_COUNTS, _WEIGHTS)[0])
        wanted = {name: source.attributes[name] for name in ("kind", *names)}
        matches = set.intersection(*(numbers[item] for item in wanted.items()))
        text = _text(source, names, rng)
        if len(matches) <= max_matches and text not in queries:
            queries[text] = Query(text, wanted, tuple(sorted(matches)))
    return list(queries.values())


def _text(product: Product, names: Sequence[str], rng: random.Random) -> str:
    """Query text with attributes before or after the noun, in any order."""
    kind = KINDS[product.kind]
    values: dict[str, Value] = {
        "colour": COLOURS[product.colour],
        "pattern": PATTERNS[product.pattern],
        "style": kind.styles[product.style],
    }
    before: list[str] = []
    after: list[str] = []
    for name in names:
        value = values[name]
        if value.after and rng.random() < 0.3:
            after.append(rng.choice(value.after))
        else:
            before.append(rng.choice(value.before))
    noun = rng.choice(kind.nouns)
    if not after and rng.random() < 0.12:
        return " ".join([noun, *before])
    return " ".join([*before, noun, *after])
