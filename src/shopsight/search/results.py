"""What a search answers with; every object is plain data that JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shopsight.types import Box

Value = str | float | int | bool | None
"""A field of a product."""


class _Plain:
    def to_json(self) -> dict[str, Any]:
        """The same as an object of JSON: dicts, lists, strings, numbers, booleans and None."""
        found: dict[str, Any] = plain_json(self)
        return found


@dataclass(frozen=True)
class WordMatched(_Plain):
    """One word of a query before one product.

    Attributes:
        word: as the person wrote it.
        weight: how much it counts for this product; the weights of a query add up to 1, and a
            word that is left out ("the", "and") has 0.
        match: what it finds in the photo; the mean over its pieces, weighted. None if left out.
        region: which of the explanation's boxes answers it, from 0; None if left out, or if the
            index holds no regions.
        known: False for a word that no training query held.
    """

    word: str
    weight: float
    match: float | None
    region: int | None
    known: bool


@dataclass(frozen=True)
class Explanation(_Plain):
    """Why a product was found.

    Attributes:
        words: every word of the query, in its order.
        boxes: the photo's regions as shares of its sides: (top, left, bottom, right).
    """

    words: tuple[WordMatched, ...]
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Hit(_Plain):
    """One product that was found.

    Attributes:
        product_id: its id.
        score: higher is better; comparable within one answer only.
        fields: what is known of the product (title, price...), empty if nothing is.
        contributions: by model, what it adds to the score; they add up to it.
        explanation: where one was asked for.
    """

    product_id: str
    score: float
    fields: Mapping[str, Value] = field(default_factory=dict)
    contributions: Mapping[str, float] = field(default_factory=dict)
    explanation: Explanation | None = None


@dataclass(frozen=True)
class Results(_Plain):
    """The answer to one query.

    Attributes:
        query: as it was asked; the product's id, or "", where that was a product or a photo.
        hits: best first.
        unknown_words: words of the query that no training query held.
        seconds: by stage: "encode", "retrieve", "rerank", "explain"; those that ran.
        total: products that the filters allow, found or not.
    """

    query: str
    hits: tuple[Hit, ...]
    unknown_words: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    total: int = 0


@dataclass(frozen=True)
class Product(_Plain):
    """A product of the index.

    Attributes:
        product_id: its id.
        fields: what is known of it.
        boxes: its photo's regions as shares of the sides; empty if the index holds none.
        has_photo: whether `Searcher.photo` has one.
    """

    product_id: str
    fields: Mapping[str, Value]
    boxes: tuple[Box, ...]
    has_photo: bool


@dataclass(frozen=True)
class Facet(_Plain):
    """A field that filters can ask for.

    Attributes:
        name: of the field.
        kind: "choice" (equal to one of ``values``), "text" (equal to any text), "number"
            (equal, or a range) or "flag" (true or false).
        values: of a choice or flag: its values, as filters write them, with how many products
            have them, the most frequent first.
        low: of a number: the smallest there is.
        high: of a number: the largest there is.
    """

    name: str
    kind: str
    values: Mapping[str, int] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None


def plain_json(value: Any) -> Any:
    """Objects of this module and mappings as dicts, tuples as lists, at any depth."""
    if isinstance(value, str | float | int) or value is None:
        return value
    if isinstance(value, _Plain):
        return {name: plain_json(one) for name, one in vars(value).items()}
    if isinstance(value, Mapping):
        return {str(key): plain_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(one) for one in value]
    return value
