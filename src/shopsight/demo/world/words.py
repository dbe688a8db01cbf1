"""Vocabulary of the small world.

A product has one value per attribute; the first attribute is its type, the head noun of queries.
"""

from __future__ import annotations

from typing import NamedTuple

KINDS = ("type", "colour", "pattern", "material", "audience", "style")
OTHERS_LABEL = 28
HUMAN_LABELS = (29, 30, 31, 32)

LABELS = (
    "top clothes (coat, jacket, shirt, etc.)",
    "skirt & dress",
    "bottom clothes (trousers, pants, etc.)",
    "luggage, leather goods",
    "shoes",
    "accessories (jewelry, clothing accessories, belts, hats, scarves, etc.)",
    "snacks, nuts, liquor and tea",
    "makeup, perfume, beauty tools and essential oils",
    "bottle drink",
    "furniture",
    "stationery",
    "household electrical appliances",
    "home decoration",
    "household fabric",
    "kitchenware",
    "home / personal cleaning tools",
    "storage supplies",
    "motorcycle, motorcycle accessories, vehicles, bicycle and riding equipment",
    "outdoor product",
    "lighting",
    "toys",
    "underwear",
    "digital supplies",
    "bed linens",
    "baby products",
    "personal care",
    "sporting goods",
    "clothes (accessories, baby clothing, etc.)",
    "others",
    "human face",
    "arm",
    "hair",
    "hand",
)


class Value(NamedTuple):
    """An attribute value.

    Attributes:
        name: ground-truth name.
        before: wordings that precede the head noun; for a type, the head nouns.
        after: wordings that follow the head noun.
        label: region class of a type.
        worn: people often wear products of this type on photos.
    """

    name: str
    before: tuple[str, ...]
    after: tuple[str, ...] = ()
    label: int = OTHERS_LABEL
    worn: bool = False


def _type(label: int, *names: str, worn: bool = False) -> Value:
    return Value(names[0], names, label=label, worn=worn)


TYPES = (
    _type(0, "shirt", "blouse", worn=True),
    _type(0, "jacket", "coat", worn=True),
    _type(0, "sweater", "pullover", "knitwear", worn=True),
    _type(1, "dress", "gown", "frock", worn=True),
    _type(1, "skirt", worn=True),
    _type(2, "pants", "trousers", worn=True),
    _type(2, "shorts", worn=True),
    _type(4, "shoes", "sneakers", worn=True),
    _type(4, "sandals", "slippers", worn=True),
    _type(3, "backpack", "rucksack"),
    _type(3, "wallet", "purse"),
    _type(5, "necklace", "pendant", worn=True),
    _type(5, "hat", "cap", worn=True),
    _type(5, "watch", worn=True),
    _type(9, "sofa", "couch"),
    _type(9, "chair", "armchair", "stool"),
    _type(19, "lamp", "desk light"),
    _type(13, "curtains", "drapes"),
    _type(23, "pillowcase", "pillow cover"),
    _type(14, "mug", "tea cup"),
    _type(22, "phone case", "cell phone cover"),
    _type(16, "storage box", "basket"),
    _type(20, "plush toy", "stuffed animal"),
    _type(10, "notebook", "diary"),
)

COLOURS = (
    Value("red", ("red", "crimson"), ("in red",)),
    Value("black", ("black", "jet black"), ("in black",)),
    Value("white", ("white",), ("in white",)),
    Value("blue", ("blue", "navy"), ("in blue",)),
    Value("green", ("green", "olive"), ("in green",)),
    Value("pink", ("pink", "rose"), ("in pink",)),
    Value("gray", ("gray", "grey"), ("in gray",)),
    Value("yellow", ("yellow", "ginger"), ("in yellow",)),
)

PATTERNS = (
    Value("plain", ("plain", "solid color"), ("without pattern",)),
    Value("striped", ("striped", "stripe"), ("with stripes",)),
    Value("dotted", ("dot", "polka dot"), ("with dots",)),
    Value("floral", ("floral", "flower"), ("with flowers",)),
    Value("leopard", ("leopard", "leopard print"), ("with leopard print",)),
    Value("plaid", ("plaid", "check"), ("with checks",)),
)

MATERIALS = (
    Value("cotton", ("cotton",), ("of cotton",)),
    Value("leather", ("leather",), ("made of leather",)),
    Value("wool", ("wool", "woolen"), ("of wool",)),
    Value("silk", ("silk", "satin"), ("of silk",)),
    Value("plastic", ("plastic",), ("made of plastic",)),
    Value("wooden", ("wooden", "solid wood"), ("made of wood",)),
)

AUDIENCES = (
    Value("women", ("ms.", "women's", "ladies"), ("for women",)),
    Value("men", ("men's", "men"), ("for men",)),
    Value("children", ("children's", "kids"), ("for children",)),
)

STYLES = (
    Value("vintage", ("vintage", "retro"), ("in vintage style",)),
    Value("casual", ("casual", "loose"), ("for every day",)),
    Value("elegant", ("elegant", "exquisite"), ("with an elegant look",)),
    Value("small", ("small", "mini"), ("in small",)),
    Value("large", ("large", "big"), ("in large",)),
)

VALUES: tuple[tuple[Value, ...], ...] = (TYPES, COLOURS, PATTERNS, MATERIALS, AUDIENCES, STYLES)

# Words of real queries that are unrelated to the photo.
NOISE = (
    "new",
    "2020",
    "fashion",
    "net red",
    "hot sale",
    "flagship store",
    "high quality",
    "early spring",
    "the same",
    "version of the",
    ", and",
    "direct mail",
)
