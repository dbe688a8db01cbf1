"""Filters on product fields. A filter kind is one subclass of `Filter`, listed in `FILTERS`."""

from __future__ import annotations

import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from shopsight.formats.fields import shortened
from shopsight.search.errors import FilterError
from shopsight.search.results import Facet
from shopsight.types import AnyArray, BoolArray

_MAX_CHOICES = 100  # distinct texts of a "choice" facet
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_SIGN = re.compile(">=|<=|>|<|=")


def _is_numeric(dtype: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(dtype) or types.is_floating(dtype) or types.is_decimal(dtype))


@dataclass(frozen=True)
class Filter(ABC):
    """A condition on one field.

    Attributes:
        field: its name.
        accepts: whether columns of an Arrow type are filtered by this kind.
    """

    field: str
    accepts: ClassVar[staticmethod[[pa.DataType], bool]]

    @classmethod
    @abstractmethod
    def decode(cls, stored: pa.ChunkedArray) -> Any:
        """A column (P,) in the form that `mask` and `facet` read."""

    @classmethod
    @abstractmethod
    def parse(cls, field: str, text: str) -> Filter:
        """Parse the part after ``field=``. Raises FilterError."""

    @classmethod
    @abstractmethod
    def facet(cls, field: str, column: Any, alive: BoolArray | slice) -> Facet:
        """Describe the field's values, counting the products ``alive`` (P,)."""

    @abstractmethod
    def mask(self, column: Any) -> BoolArray:
        """(P,) products that meet the condition."""

    @abstractmethod
    def to_milvus(self, column: str) -> str:
        """The condition as a Milvus boolean expression."""

    @classmethod
    def milvus_value(cls, value: Any) -> str | float | bool | None:
        """A field's value as it is stored in Milvus."""
        return value  # type: ignore[no-any-return]


@dataclass(frozen=True)
class FlagFilter(Filter):
    """Equality of a boolean field."""

    accepts = staticmethod(pa.types.is_boolean)
    value: bool

    @classmethod
    def decode(cls, stored: pa.ChunkedArray) -> AnyArray:
        """(P,) int8: 1, 0, or -1 where missing."""
        return stored.cast(pa.int8()).fill_null(-1).to_numpy()  # type: ignore[no-any-return]

    @classmethod
    def parse(cls, field: str, text: str) -> FlagFilter:
        """Parse ``true``, ``false`` and their synonyms."""
        if text.strip().lower() not in _FLAGS:
            raise FilterError(f"{field} expects true or false, got {shortened(text)}")
        return cls(field, _FLAGS[text.strip().lower()])

    @classmethod
    def facet(cls, field: str, column: AnyArray, alive: BoolArray | slice) -> Facet:
        """Counts of true and false."""
        flags = column[alive]
        counts = {"true": int((flags == 1).sum()), "false": int((flags == 0).sum())}
        return Facet(field, "flag", counts)

    def mask(self, column: AnyArray) -> BoolArray:
        """(P,) products with this value."""
        met: BoolArray = column == int(self.value)
        return met

    def to_milvus(self, column: str) -> str:
        """A comparison with ``true`` or ``false``."""
        return f"{column} == {json.dumps(self.value)}"


@dataclass(frozen=True)
class NumberFilter(Filter):
    """A range of a numeric field; ``low_open`` and ``high_open`` exclude the bounds."""

    accepts = staticmethod(_is_numeric)
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    @classmethod
    def decode(cls, stored: pa.ChunkedArray) -> AnyArray:
        """(P,) float64, NaN where missing."""
        return stored.cast(pa.float64()).to_numpy()  # type: ignore[no-any-return]

    @classmethod
    def parse(cls, field: str, text: str) -> NumberFilter:
        """Parse ``10``, ``10..20``, ``10..``, ``..20``, ``>=10``, ``>10``, ``<=20`` or ``<20``."""
        text = text.strip()
        if (sign := _SIGN.match(text)) and sign[0] != "=":
            limit = _number(field, text[sign.end() :])
            if sign[0][0] == ">":
                return cls(field, low=limit, low_open=sign[0] == ">")
            return cls(field, high=limit, high_open=sign[0] == "<")
        low, dots, high = (part.strip() for part in text.partition(".."))
        if not dots:
            value = _number(field, text)
            return cls(field, value, value)
        if not low and not high:
            raise FilterError(f"range '{field}={text}' has no lower or upper bound")
        return cls(
            field,
            _number(field, low) if low else -math.inf,
            _number(field, high) if high else math.inf,
        )

    @classmethod
    def facet(cls, field: str, column: AnyArray, alive: BoolArray | slice) -> Facet:
        """The smallest and the largest value."""
        values = column[alive]
        values = values[np.isfinite(values)]
        if not len(values):
            return Facet(field, "number")
        return Facet(field, "number", low=float(values.min()), high=float(values.max()))

    def mask(self, column: AnyArray) -> BoolArray:
        """(P,) products in the range; a missing value is in none."""
        low = column > self.low if self.low_open else column >= self.low
        met: BoolArray = low & (column < self.high if self.high_open else column <= self.high)
        return met

    def to_milvus(self, column: str) -> str:
        """Comparisons with the finite bounds.

        >>> NumberFilter("price", 10.0, 20.0, high_open=True).to_milvus("f")
        'f >= 10.0 and f < 20.0'
        """
        if self.low == self.high:
            return f"{column} == {self.low!r}"
        limits = []
        if self.low > -math.inf:
            limits.append(f"{column} {'>' if self.low_open else '>='} {self.low!r}")
        if self.high < math.inf:
            limits.append(f"{column} {'<' if self.high_open else '<='} {self.high!r}")
        return " and ".join(limits)

    @classmethod
    def milvus_value(cls, value: Any) -> float | None:
        """A float; None where missing or NaN."""
        return None if value is None or value != value else float(value)


@dataclass(frozen=True)
class TextFilter(Filter):
    """Case-insensitive equality of a field of any other type, so it is the last of `FILTERS`."""

    accepts = staticmethod(lambda _: True)
    value: str

    @classmethod
    def decode(cls, stored: pa.ChunkedArray) -> tuple[AnyArray, list[str]]:
        """(P,) index of each product's text, -1 where missing; and the distinct texts."""
        texts = as_text(stored).combine_chunks().dictionary_encode()
        if isinstance(texts, pa.ChunkedArray):
            texts = texts.combine_chunks()
        codes = texts.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return codes, texts.dictionary.to_pylist()

    @classmethod
    def parse(cls, field: str, text: str) -> TextFilter:
        """Take any text."""
        return cls(field, text.casefold())

    @classmethod
    def facet(
        cls, field: str, column: tuple[AnyArray, list[str]], alive: BoolArray | slice
    ) -> Facet:
        """Counts by text, the most frequent first; none if there are too many."""
        codes, texts = column
        counts = np.bincount(codes[alive] + 1, minlength=len(texts) + 1)[1:]
        order = [i for i in np.argsort(-counts, kind="stable") if counts[i]]
        if len(order) > _MAX_CHOICES:
            return Facet(field, "text")
        return Facet(field, "choice", {texts[i]: int(counts[i]) for i in order})

    def mask(self, column: tuple[AnyArray, list[str]]) -> BoolArray:
        """(P,) products with this text."""
        codes, texts = column
        # The last entry answers code -1, a missing text.
        matches = np.array([text.casefold() == self.value for text in texts] + [False])
        met: BoolArray = matches[codes]
        return met

    def to_milvus(self, column: str) -> str:
        """A comparison with the casefolded text."""
        return f"{column} == {json.dumps(self.value, ensure_ascii=False)}"

    @classmethod
    def milvus_value(cls, value: Any) -> str | None:
        """The casefolded text, since Milvus compares exactly."""
        return None if value is None else str(value).casefold()


FILTERS: Sequence[type[Filter]] = (FlagFilter, NumberFilter, TextFilter)
"""Filter kinds; the first that accepts a column's type filters it."""


def parse_filter(text: str) -> tuple[str, str]:
    """Split a filter as written on a command line into field and value.

    Raises:
        FilterError: no comparison, or no field before it.

    >>> parse_filter("price>=10"), parse_filter("colour=dark red"), parse_filter("price=10..20")
    (('price', '>=10'), ('colour', 'dark red'), ('price', '10..20'))
    """
    sign = _SIGN.search(text)
    if sign is None or not text[: sign.start()].strip():
        raise FilterError(
            f"invalid filter {shortened(text)}: expected field=value, field=low..high or field>=low"
        )
    value = text[sign.end() :].strip()
    return text[: sign.start()].strip(), value if sign[0] == "=" else sign[0] + value


def _number(field: str, text: str) -> float:
    try:
        # float() accepts underscores between digits, which in a filter are typing errors.
        value = math.nan if "_" in text else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FilterError(
            f"{field} expects a number or range (10, 10..20, 10.., >=10), got {shortened(text)}"
        )
    return value


def as_text(stored: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column (P,) of any type as strings."""
    if pa.types.is_dictionary(stored.type):
        stored = stored.cast(stored.type.value_type)
    try:
        return stored.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        # Lists and structs have no cast to string in Arrow.
        texts = [None if value is None else str(value) for value in stored.to_pylist()]
        return pa.chunked_array([texts], pa.string())
