"""Vocabulary of the synthetic shop: kinds, styles, colours and patterns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shopsight.demo.shop.garments import (
    boot,
    dress,
    hat,
    jacket,
    pump,
    shirt,
    skirt,
    sneaker,
    sunglasses,
    sweater,
    tie,
    top,
    trousers,
    watch,
)
from shopsight.demo.shop.pen import Colour, Pen
from shopsight.demo.shop.things import (
    backpack,
    chair,
    clock,
    curtains,
    cushion,
    handbag,
    lamp,
    mug,
    rug,
    sofa,
    suitcase,
    table,
    teapot,
    umbrella,
    vase,
)

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


def _v(name: str, *others: str, after: tuple[str, ...] = ()) -> Value:
    return Value(name, (name, *others), after)


_CLOTHES, _SHOES, _BAGS = "clothes", "shoes", "bags"
_WITH_IT, _FURNITURE, _HOME = "accessories", "furniture", "home"
_SHORT = _v("short", after=("above the knee",))
_ROUND, _SQUARE = _v("round", "circular"), _v("square", "rectangular")

KINDS = (
    Kind("t-shirt", ("t-shirt", "tee", "top"), _CLOTHES, top,
         (_v("short-sleeved"), _v("long-sleeved", "longsleeve", after=("with long sleeves",)),
          _v("sleeveless", "tank", after=("without sleeves",))),
         (9, 35), 1.0, 0.6, 0.4),
    Kind("shirt", ("shirt", "blouse"), _CLOTHES, shirt,
         (_v("long-sleeved", after=("with long sleeves",)),
          _v("short-sleeved", "summer", after=("with short sleeves",))),
         (19, 79), 0.95, 0.7, 0.4),
    Kind("sweater", ("sweater", "pullover", "jumper"), _CLOTHES, sweater,
         (_v("crew-neck"), _v("turtleneck", "roll-neck", after=("with a high collar",)),
          _v("hooded", after=("with a hood",))),
         (25, 99), 0.95, 0.5, 0.35),
    Kind("jacket", ("jacket", "coat"), _CLOTHES, jacket,
         (_v("short", "zip"), _v("long", "winter", after=("with buttons",))),
         (49, 249), 0.85, 0.35, 0.4),
    Kind("dress", ("dress", "gown", "frock"), _CLOTHES, dress,
         (_SHORT, _v("long", "maxi", after=("down to the ankles",))),
         (29, 159), 0.75, 0.7, 0.6),
    Kind("skirt", ("skirt",), _CLOTHES, skirt,
         (_SHORT, _v("long", "maxi", after=("down to the ankles",))),
         (19, 79), 0.85, 0.7),
    Kind("trousers", ("trousers", "pants"), _CLOTHES, trousers,
         (_v("straight"), _v("slim", "skinny", "tight"), _v("wide", "loose", "flared")),
         (25, 99), 0.62, 0.4),
    Kind("shorts", ("shorts",), _CLOTHES, lambda pen, _: trousers(pen, "short"),
         (_v("summer"),), (15, 49), 0.8, 0.5),
    Kind("tie", ("tie", "necktie"), _WITH_IT, tie,
         (_v("wide"), _v("narrow", "slim")), (9, 59), 0.5, 0.75),
    Kind("hat", ("hat",), _WITH_IT, hat,
         (_v("baseball", "peaked"), _v("wide-brimmed", "sun", after=("with a wide brim",)),
          _v("knitted", "woolly", "winter", after=("with a bobble",))),
         (9, 49), 1.15, 0.4),
    Kind("sunglasses", ("sunglasses", "shades"), _WITH_IT, sunglasses,
         (_SQUARE, _ROUND), (12, 129), 1.8, 0.25),
    Kind("watch", ("watch", "wristwatch"), _WITH_IT, watch,
         (_ROUND, _SQUARE), (29, 399), 0.6, 0.15),
    Kind("umbrella", ("umbrella", "brolly"), _WITH_IT, umbrella,
         (_v("open"),), (9, 39), 1.0, 0.6),
    Kind("sneakers", ("sneakers", "trainers", "running shoes"), _SHOES, sneaker,
         (_v("low"), _v("high-top", "ankle-high", after=("up to the ankle",))),
         (29, 149), 1.35, 0.4),
    Kind("boots", ("boots",), _SHOES, boot,
         (_v("high", "knee-high", "riding"), _v("ankle", "chelsea")), (49, 229), 0.85, 0.25),
    Kind("pumps", ("pumps", "ladies shoes", "court shoes"), _SHOES, pump,
         (_v("high-heeled", "stiletto", after=("with high heels",)),
          _v("flat", "ballerina", after=("without heels",))),
         (29, 189), 1.3, 0.4),
    Kind("handbag", ("handbag", "bag", "purse"), _BAGS, handbag,
         (_v("classic"), _v("tote", "shopper"),
          _v("small", "evening", "clutch", after=("on a chain",))),
         (19, 299), 1.05, 0.5),
    Kind("backpack", ("backpack", "rucksack"), _BAGS, backpack,
         (_v("zipped", "school"),
          Value("with flap", ("buckled",), ("with a flap", "with buckles"))),
         (25, 149), 0.82, 0.5),
    Kind("suitcase", ("suitcase", "trolley", "luggage"), _BAGS, suitcase,
         (_v("large", "big"), _v("small", "cabin")), (39, 199), 0.75, 0.25),
    Kind("sofa", ("sofa", "couch", "settee"), _FURNITURE, sofa,
         (_v("two-seater", after=("for two",)), _v("three-seater", after=("for three",))),
         (299, 1899), 2.0, 0.4, 0, True),
    Kind("chair", ("chair", "seat"), _FURNITURE, chair,
         (_v("dining", "kitchen"), _v("upholstered", "arm", "easy"), _v("stool", "bar")),
         (29, 499), 0.8, 0.4, 0, True),
    Kind("table", ("table", "desk"), _FURNITURE, table,
         (_SQUARE, _ROUND), (79, 899), 1.5, 0.05, 0, True),
    Kind("lamp", ("lamp", "light"), _HOME, lamp,
         (_v("table", "bedside", "desk"), _v("floor", "standing"),
          _v("ceiling", "pendant", "hanging")),
         (19, 249), 0.7, 0.4, 0, True),
    Kind("mug", ("mug", "cup"), _HOME, mug,
         (_v("tall"), Value("with saucer", ("espresso",), ("with a saucer", "and saucer"))),
         (5, 25), 1.1, 0.6),
    Kind("teapot", ("teapot", "tea pot"), _HOME, teapot,
         (_v("round"),), (19, 79), 1.25, 0.6),
    Kind("vase", ("vase", "flower vase"), _HOME, vase,
         (_v("tall", "slim"), _v("round", "wide")), (9, 89), 0.65, 0.5),
    Kind("cushion", ("cushion", "pillow"), _HOME, cushion,
         (_SQUARE, _ROUND), (9, 49), 1.05, 0.8),
    Kind("curtains", ("curtains", "drapes"), _HOME, curtains,
         (_v("long", after=("down to the floor",)), _v("short", "kitchen")),
         (25, 129), 1.0, 0.7),
    Kind("rug", ("rug", "carpet"), _HOME, rug, (_SQUARE, _ROUND), (29, 399), 1.25, 0.7),
    Kind("clock", ("clock", "wall clock"), _HOME, clock,
         (_ROUND, _SQUARE), (12, 99), 1.0, 0.2),
)  # fmt: skip

RGB: dict[str, Colour] = {
    "red": (205, 38, 44),
    "orange": (240, 126, 38),
    "yellow": (247, 205, 62),
    "green": (62, 148, 82),
    "olive": (118, 122, 60),
    "turquoise": (46, 174, 178),
    "blue": (52, 110, 202),
    "navy": (30, 42, 92),
    "purple": (124, 72, 158),
    "pink": (240, 138, 172),
    "brown": (122, 80, 50),
    "beige": (222, 200, 166),
    "white": (244, 243, 240),
    "grey": (140, 144, 150),
    "black": (38, 37, 42),
}
_SYNONYMS = {
    "red": ("crimson", "scarlet"),
    "yellow": ("mustard",),
    "green": ("emerald",),
    "olive": ("khaki",),
    "turquoise": ("teal",),
    "navy": ("dark blue",),
    "purple": ("violet", "lilac"),
    "pink": ("rose",),
    "brown": ("chocolate",),
    "beige": ("cream", "sand"),
    "white": ("ivory",),
    "grey": ("gray", "silver"),
    "black": ("jet black",),
}
COLOURS = tuple(
    Value(name, (name, name, *_SYNONYMS.get(name, ())), (f"in {name}",)) for name in RGB
)
PATTERNS = (
    Value(PLAIN, (PLAIN, "solid"), ("without pattern",)),
    Value("striped", ("striped", "stripe"), ("with stripes",)),
    Value("dotted", ("polka dot", "dotted", "spotted"), ("with dots", "with polka dots")),
    Value("checked", ("checked", "plaid", "tartan"), ("with checks",)),
    Value("floral", ("floral", "flowery", "flower"), ("with flowers",)),
    Value("leopard", ("leopard print", "leopard", "animal print"), ("with leopard print",)),
    Value("zigzag", ("zigzag", "chevron"), ("with a zigzag pattern",)),
    Value("starred", ("star", "starry"), ("with stars",)),
)
BRANDS = (
    "Nordlys",
    "Alba",
    "Kitto",
    "Maroa",
    "Velin",
    "Hedda",
    "Osier",
    "Brisk",
    "Tamsin",
    "Lovage",
)
PRAISE = ("new", "beautiful", "fine", "popular", "everyday", "modern", "lovely", "quality")
