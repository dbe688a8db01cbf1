"""Conditions on products: the filters of a field as alternatives, or excluded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from shopsight.search.errors import FilterError
from shopsight.search.filters import Filter, parse_filter
from shopsight.types import BoolArray

Filters = Mapping[str, str | Sequence[str]]
"""Values by field: ``"red"`` (equal; text in any case), ``"10..20"``, ``"10.."``, ``"..20"`` (with
their bounds), ``">=10"``, ``">10"``, ``"<=20"``, ``"<20"``, ``"true"``, ``"false"``; or a list of
them, of which a product meets at least one. ``"-field"`` excludes the products that meet it."""

MAX_VALUES = 100
_BOUNDS = (">", "<")


@dataclass(frozen=True)
class Condition:
    """Products that meet any of a field's filters; negated, those that meet none of them."""

    field: str
    filters: tuple[Filter, ...]
    negated: bool = False

    def mask(self, column: Any) -> BoolArray:
        """(P,) products that meet the condition, of a decoded column."""
        met = reduce(np.logical_or, [item.mask(column) for item in self.filters])
        return ~met if self.negated else met

    def to_milvus(self, column: str) -> str:
        """The condition as a Milvus boolean expression."""
        met = " or ".join(f"({item.to_milvus(column)})" for item in self.filters)
        # A comparison with a missing value is neither true nor false in Milvus.
        return f"(not ({met}) or {column} is null)" if self.negated else f"({met})"


def parse_filters(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Filters as written on a command line or in an address; see `Filters`.

    >>> parse_filters(["price>=10", "colour=red", "colour=blue", "-brand=Acme"])
    {'price': ('>=10',), 'colour': ('red', 'blue'), '-brand': ('Acme',)}
    """
    filters: dict[str, tuple[str, ...]] = {}
    for text in texts:
        field, value = parse_filter(text)
        filters[field] = tuple(dict.fromkeys((*filters.get(field, ()), value)))
    return filters


def values_of(field: str, values: str | Sequence[str]) -> tuple[str, ...]:
    """The alternatives of a field.

    Raises:
        FilterError: none or too many, or several bounds, which would allow almost everything.
    """
    texts = (values,) if isinstance(values, str) else tuple(str(value) for value in values)
    if not 0 < len(texts) <= MAX_VALUES:
        raise FilterError(f"{field[:40]} expects 1 to {MAX_VALUES} values, got {len(texts)}")
    if len(texts) > 1 and any(text.strip().startswith(_BOUNDS) for text in texts):
        raise FilterError(
            f"several values of {field[:40]} are alternatives; for a range write"
            f" {field[:40]}=10..20"
        )
    return texts
