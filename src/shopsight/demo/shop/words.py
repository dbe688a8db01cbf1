"""Vocabulary of the synthetic shop (``vocabulary.yaml``): kinds, styles, colours and patterns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from shopsight.demo.shop.garments import GARMENTS
from shopsight.demo.shop.pen import Colour, Pen
from shopsight.demo.shop.things import THINGS

PLAIN = "plain"


@dataclass(frozen=True)
class Value:
    """An attribute value.

    Attributes:
        name: ground-truth name.
        before: wordings that precede the noun.
        after: wordings that follow the noun.
    """

    name: str
    before: tuple[str, ...]
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """A kind of product.

    Attributes:
        name: ground-truth name.
        nouns: nouns used in queries and titles.
        category: department.
        draw: renders it in a style.
        styles: possible styles; the first is the default and rarely mentioned.
        price: lowest and highest price.
        aspect: width divided by height.
        patterned: probability of a pattern.
        worn: probability that a person wears it on the photo.
        on_floor: placed on the floor of a room.
    """

    name: str
    nouns: tuple[str, ...]
    category: str
    draw: Callable[[Pen, str], None]
    styles: tuple[Value, ...]
    price: tuple[int, int]
    aspect: float = 1.0
    patterned: float = 0.6
    worn: float = 0.0
    on_floor: bool = False


def _value(name: str, before: list[str], after: list[str] | None = None) -> Value:
    return Value(name, tuple(before), tuple(after or ()))


def _kind(settings: dict[str, Any]) -> Kind:
    return Kind(
        **{
            **settings,
            "nouns": tuple(settings["nouns"]),
            "draw": {**GARMENTS, **THINGS}[settings["draw"]],
            "styles": tuple(_value(**style) for style in settings["styles"]),
            "price": tuple(settings["price"]),
        }
    )


_VOCABULARY = yaml.safe_load(files(__package__).joinpath("vocabulary.yaml").read_bytes())
KINDS = tuple(map(_kind, _VOCABULARY["kinds"]))
RGB: dict[str, Colour] = {entry["name"]: tuple(entry["rgb"]) for entry in _VOCABULARY["colours"]}
COLOURS = tuple(
    Value(entry["name"], tuple(entry["before"]), (f"in {entry['name']}",))
    for entry in _VOCABULARY["colours"]
)
PATTERNS = tuple(_value(**entry) for entry in _VOCABULARY["patterns"])
BRANDS, PRAISE = (tuple(_VOCABULARY[key]) for key in ("brands", "praise"))
