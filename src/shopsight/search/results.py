"""Results of a search: plain data, JSON-serialisable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shopsight.tables import plain
from shopsight.types import Box

Value = str | float | int | bool | list[str] | None
"""A field's value."""


class _Plain:
    def to_dict(self) -> dict[str, Any]:
        """The object as JSON-serialisable values."""
        return plain(self)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class WordMatched(_Plain):
    """The match of one word of a query with one product.

    Attributes:
        word: as written in the query.
        weight: importance for this product; the weights of a query sum to 1, and a stop word has
            weight 0.
        match: its match with the photo, the weighted mean over its tokens; None for a stop word.
        region: index of the region that contributes most; None for a stop word, or if the index
            holds no regions.
        known: False for a word that occurs in no training query.
    """

    word: str
    weight: float
    match: float | None
    region: int | None
    known: bool


@dataclass(frozen=True)
class Explanation(_Plain):
    """Why a product was found.

    ``boxes`` are the photo's regions as fractions of its sides: (top, left, bottom, right).
    """

    words: tuple[WordMatched, ...]
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Hit(_Plain):
    """A product found by a search.

    Attributes:
        score: higher is better; comparable within one result only.
        contributions: by model, its part of the score; they sum to it.
        explanation: present if requested.
    """

    product_id: str
    score: float
    fields: Mapping[str, Value] = field(default_factory=dict)
    contributions: Mapping[str, float] = field(default_factory=dict)
    explanation: Explanation | None = None


@dataclass(frozen=True)
class Facet(_Plain):
    """A field that filters accept.

    Attributes:
        kind: "choice" (one of ``values``), "text" (any text), "number" or "date" (one or a range),
            or "flag" (true or false).
        values: of a choice or flag: number of products by value, the most frequent first.
        low, high: the smallest and the largest number; the first and the last day, as ISO text.
    """

    name: str
    kind: str
    values: Mapping[str, int] = field(default_factory=dict)
    low: float | str | None = None
    high: float | str | None = None


@dataclass(frozen=True)
class Results(_Plain):
    """The result of one search.

    Attributes:
        query: the query, or the product's id, or "" for a photo.
        hits: the requested page, best first.
        unknown_words: words of the query that occur in no training query.
        seconds: by stage: "encode", "retrieve", "rerank", "explain"; those that ran.
        total: number of products that match the query and meet the filters.
        offset: number of better hits.
        corrected: the query that was searched, if it differs because of misspelt words.
        facets: the fields with their counts among the matches, if requested.
    """

    query: str
    hits: tuple[Hit, ...]
    unknown_words: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    total: int = 0
    offset: int = 0
    corrected: str = ""
    facets: tuple[Facet, ...] = ()


@dataclass(frozen=True)
class Product(_Plain):
    """A product of the index.

    ``boxes`` are its photo's regions as fractions of the sides; empty if the index holds none.
    """

    product_id: str
    fields: Mapping[str, Value]
    boxes: tuple[Box, ...]
    has_photo: bool
