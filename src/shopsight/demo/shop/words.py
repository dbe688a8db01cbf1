"""Vocabulary of the synthetic shop (``vocabulary.yaml``): kinds, styles, colours and patterns."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from shopsight.demo.shop.drawings import DRAWINGS, Drawing
from shopsight.demo.shop.garments import GARMENTS
from shopsight.demo.shop.pen import Colour

PLAIN = "plain"


@dataclass(frozen=True)
class Value:
    """An attribute value: ground-truth name, and wordings before and after the noun."""

    name: str
    before: tuple[str, ...]
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """A kind of product."""

    name: str
    nouns: tuple[str, ...]  # in queries and titles
    category: str  # department
    draw: Drawing
    styles: tuple[Value, ...]  # the first is the default and rarely mentioned
    price: tuple[int, int]  # lowest and highest
    aspect: float = 1.0  # width divided by height
    patterned: float = 0.6  # probability of a pattern
    worn: float = 0.0  # probability that a person wears it on the photo
    on_floor: bool = False  # placed on the floor of a room


def _frozen(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry with tuples for lists."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in entry.items()}


def _kind(entry: dict[str, Any]) -> Kind:
    styles = tuple(Value(**_frozen(style)) for style in entry["styles"])
    draw = {**GARMENTS, **DRAWINGS}[entry["draw"]]
    return Kind(**{**_frozen(entry), "draw": draw, "styles": styles})


_VOCABULARY = yaml.safe_load(files(__package__).joinpath("vocabulary.yaml").read_bytes())
KINDS = tuple(map(_kind, _VOCABULARY["kinds"]))
RGB: dict[str, Colour] = {entry["name"]: tuple(entry["rgb"]) for entry in _VOCABULARY["colours"]}
COLOURS = tuple(
    Value(entry["name"], tuple(entry["before"]), (f"in {entry['name']}",))
    for entry in _VOCABULARY["colours"]
)
PATTERNS = tuple(Value(**_frozen(entry)) for entry in _VOCABULARY["patterns"])
BRANDS, PRAISE = (tuple(_VOCABULARY[key]) for key in ("brands", "praise"))
PALETTES: dict[str, tuple[Colour, ...]] = {
    name: tuple(map(tuple, colours)) for name, colours in _VOCABULARY["palettes"].items()
}
FIXED: dict[str, Colour] = _frozen(_VOCABULARY["fixed_colours"])
