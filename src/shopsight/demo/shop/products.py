"""Products of the synthetic shop: attributes, titles and prices."""

from __future__ import annotations

import random
from dataclasses import dataclass

from shopsight.demo.shop.words import (
    BRANDS,
    COLOURS,
    KINDS,
    PATTERNS,
    PLAIN,
    PRAISE,
    RGB,
    Kind,
)

_LIGHT_ON_DARK = ("white", "yellow", "beige", "pink")
_PATTERN_COLOURS = {"leopard": ("beige", "brown", "yellow", "orange", "grey", "white")}


@dataclass(frozen=True)
class Product:
    """A product; kind, style, colour and pattern are indices into the vocabulary."""

    number: int  # from 0
    kind: int
    style: int
    colour: int
    pattern: int
    figure: int  # index of the pattern's second colour
    title: str
    price: float
    in_stock: bool
    seed: int  # of the photo

    @property
    def id(self) -> str:
        """Product id in tables."""
        return f"d{self.number:05d}"

    @property
    def of(self) -> Kind:
        """Kind."""
        return KINDS[self.kind]

    @property
    def attributes(self) -> dict[str, str]:
        """Ground-truth attributes by name."""
        return {
            "kind": self.of.name,
            "style": self.of.styles[self.style].name,
            "colour": COLOURS[self.colour].name,
            "pattern": PATTERNS[self.pattern].name,
        }


def sample_products(count: int, rng: random.Random) -> list[Product]:
    """Sample products, with kinds about equally frequent."""
    return [_product(number, rng) for number in range(count)]


def _product(number: int, rng: random.Random) -> Product:
    kind = number % len(KINDS) if number < len(KINDS) else rng.randrange(len(KINDS))
    of = KINDS[kind]
    style = rng.randrange(len(of.styles))
    pattern = rng.randrange(1, len(PATTERNS)) if rng.random() < of.patterned else 0
    colour = _colour(PATTERNS[pattern].name, rng)
    low, high = of.price
    price = round(low * (high / low) ** rng.random()) - 0.05
    figure = _figure(PATTERNS[pattern].name, colour, rng)
    return Product(
        number,
        kind,
        style,
        colour,
        pattern,
        figure,
        _title(of, style, colour, pattern, rng),
        price,
        rng.random() < 0.85,
        rng.getrandbits(32),
    )


def _colour(pattern: str, rng: random.Random) -> int:
    names = list(RGB)
    return names.index(rng.choice(_PATTERN_COLOURS.get(pattern, tuple(names))))


def _figure(pattern: str, colour: int, rng: random.Random) -> int:
    """Sample a second colour with enough contrast to the first."""
    names = list(RGB)
    if pattern == "leopard":
        return names.index("black")
    ground = RGB[names[colour]]
    others = [
        name
        for name, ink in RGB.items()
        if sum(abs(a - b) for a, b in zip(ink, ground, strict=True)) > 230
    ]
    likely = [name for name in others if name in (*_LIGHT_ON_DARK, "black", "navy")]
    return names.index(rng.choice(likely or others))


def _title(of: Kind, style: int, colour: int, pattern: int, rng: random.Random) -> str:
    """Sample a title: brand, marketing words and attributes in varying order."""
    styled, ink, cloth = of.styles[style], COLOURS[colour], PATTERNS[pattern]
    before = [ink.before[0]] if rng.random() < 0.7 else []
    after = [] if before else [rng.choice(ink.after)]
    if cloth.name != PLAIN or rng.random() < 0.2:
        if rng.random() < 0.6:
            before.append(rng.choice(cloth.before))
        else:
            after.append(rng.choice(cloth.after))
    if rng.random() < 0.8:
        before.append(rng.choice(styled.before))
    rng.shuffle(before)
    if rng.random() < 0.4:
        before.insert(0, rng.choice(PRAISE))
    return " ".join([rng.choice(BRANDS), *before, rng.choice(of.nouns), *after])
