"""Filters on product fields. A filter kind is one subclass of `Filter`, listed in `FILTERS`."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa

from shopsight.formats.dates import parse_period
from shopsight.formats.fields import shortened
from shopsight.search.errors import FilterError
from shopsight.search.results import Facet
from shopsight.types import AnyArray, BoolArray

_MAX_CHOICES = 100  # distinct texts of a "choice" facet
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_SIGN = re.compile(">=|<=|>|<|=")
MilvusValue = str | float | bool | list[str] | None


class Column(Protocol):
    """The column that a filter is parsed for."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def decoded(self) -> Any:
        """See `Filter.decode`."""

    @property
    def example(self) -> str:
        """One of its values, for messages."""


def _is_numeric(dtype: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(dtype) or types.is_floating(dtype) or types.is_decimal(dtype))


def _is_text_list(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_list(dtype) and pa.types.is_string(dtype.value_type))


def _is_anything(dtype: pa.DataType) -> bool:  # noqa: ARG001
    return True


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
    def parse(cls, column: Column, text: str) -> Filter:
        """Parse the part after ``field=``. Raises FilterError for what a column cannot answer."""

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
    def milvus_value(cls, value: Any) -> MilvusValue:
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
    def parse(cls, column: Column, text: str) -> FlagFilter:
        """Parse ``true``, ``false`` and their synonyms."""
        if text.strip().lower() not in _FLAGS:
            raise FilterError(f"{column.name} expects true or false, got {shortened(text)}")
        return cls(column.name, _FLAGS[text.strip().lower()])

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
    def parse(cls, column: Column, text: str) -> NumberFilter:
        """Parse ``10``, ``10..20``, ``10..``, ``..20``, ``>=10``, ``>10``, ``<=20`` or ``<20``."""
        low, high, sign = _bounds(column.name, text)
        limits = [None if bound is None else _number(column, bound) for bound in (low, high)]
        return cls(
            column.name,
            -math.inf if limits[0] is None else limits[0],
            math.inf if limits[1] is None else limits[1],
            low_open=sign == ">",
            high_open=sign == "<",
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
class DateFilter(Filter):
    """A range of a date field, in seconds since 1970: from ``low`` to before ``high``."""

    accepts = staticmethod(lambda dtype: pa.types.is_date(dtype) or pa.types.is_timestamp(dtype))
    low: float = -math.inf
    high: float = math.inf

    @classmethod
    def decode(cls, stored: pa.ChunkedArray) -> AnyArray:
        """(P,) float64 seconds, NaN where missing."""
        seconds = stored.cast(pa.timestamp("s"), safe=False).cast(pa.int64()).cast(pa.float64())
        return seconds.to_numpy()  # type: ignore[no-any-return]

    @classmethod
    def parse(cls, column: Column, text: str) -> DateFilter:
        """Parse a year, month, day or time, or a range of them as for numbers."""
        first, last, sign = _bounds(column.name, text)
        low, high = -math.inf, math.inf
        if first is not None:
            low = _period(column, first)[1 if sign == ">" else 0]
        if last is not None:
            high = _period(column, last)[0 if sign == "<" else 1]
        return cls(column.name, low, high)

    @classmethod
    def facet(cls, field: str, column: AnyArray, alive: BoolArray | slice) -> Facet:
        """The first and the last day."""
        seconds = column[alive]
        seconds = seconds[np.isfinite(seconds)]
        if not len(seconds):
            return Facet(field, "date")
        days = seconds.astype("datetime64[s]").astype("datetime64[D]")
        return Facet(field, "date", low=str(days.min()), high=str(days.max()))

    def mask(self, column: AnyArray) -> BoolArray:
        """(P,) products in the range; a missing value is in none."""
        met: BoolArray = (column >= self.low) & (column < self.high)
        return met

    def to_milvus(self, column: str) -> str:
        """Comparisons with the finite bounds."""
        return NumberFilter(self.field, self.low, self.high, high_open=True).to_milvus(column)

    @classmethod
    def milvus_value(cls, value: Any) -> float | None:
        """Seconds since 1970."""
        if value is None:
            return None
        moment = datetime.fromisoformat(value.isoformat())
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


@dataclass(frozen=True)
class TextFilter(Filter):
    """Equality of a field of any other type, so it is the last of `FILTERS`.

    Case, outer blanks and the spelling of accents make no difference.
    """

    accepts = staticmethod(_is_anything)
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
    def parse(cls, column: Column, text: str) -> TextFilter:
        """Take any text, unless it is a comparison, which text does not answer."""
        comparison = _comparison(text)
        if comparison and folded(text) not in map(folded, column.decoded[-1]):
            raise FilterError(
                f"{column.name} is text in this index (e.g. {shortened(column.example)});"
                f" {comparison} needs numbers or dates: empty or correct such cells and prepare"
                " the table again"
            )
        return cls(column.name, folded(text))

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
        matches = np.array([folded(text) == self.value for text in texts] + [False])
        met: BoolArray = matches[codes]
        return met

    def to_milvus(self, column: str) -> str:
        """A comparison with the casefolded text."""
        return f"{column} == {json.dumps(self.value, ensure_ascii=False)}"

    @classmethod
    def milvus_value(cls, value: Any) -> MilvusValue:
        """The folded text, since Milvus compares exactly."""
        return None if value is None else folded(str(value))


@dataclass(frozen=True)
class ListFilter(TextFilter):
    """Lists of texts with an item equal to a text."""

    accepts = staticmethod(_is_text_list)

    @classmethod
    def decode(cls, stored: pa.ChunkedArray) -> Any:
        """(P + 1,) offsets of each product's items, (N,) their text indices, and the texts."""
        lists = stored.to_pylist()
        offsets = np.cumsum([0, *(len(items or ()) for items in lists)])
        items = pa.chunked_array([[item for items in lists for item in items or ()]], pa.string())
        return offsets, *super().decode(items)

    @classmethod
    def facet(cls, field: str, column: Any, alive: BoolArray | slice) -> Facet:
        """Counts by item."""
        offsets, codes, texts = column
        owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        kept = alive if isinstance(alive, slice) else alive[owners]
        return super().facet(field, (codes[kept], texts), slice(None))

    def mask(self, column: Any) -> BoolArray:
        """(P,) products with this item."""
        offsets, codes, texts = column
        owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        met: BoolArray = np.zeros(len(offsets) - 1, bool)
        met[owners[super().mask((codes, texts))]] = True
        return met

    def to_milvus(self, column: str) -> str:
        """Whether the list contains the folded text."""
        return f"json_contains({column}, {json.dumps(self.value, ensure_ascii=False)})"

    @classmethod
    def milvus_value(cls, value: Any) -> MilvusValue:
        """The folded items."""
        return None if value is None else [folded(item) for item in value]


FILTERS: Sequence[type[Filter]] = (FlagFilter, NumberFilter, DateFilter, ListFilter, TextFilter)
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


def folded(text: str) -> str:
    """A text as filters compare it."""
    return unicodedata.normalize("NFC", text.strip().casefold())


def _bounds(field: str, text: str) -> tuple[str | None, str | None, str]:
    """The texts of the lower and upper bound, and the sign if there is one.

    Raises:
        FilterError: a range without a bound.
    """
    text = text.strip()
    if (match := _SIGN.match(text)) and match[0] != "=":
        limit, sign = text[match.end() :], match[0]
        return (limit, None, sign) if sign[0] == ">" else (None, limit, sign)
    low, dots, high = (part.strip() for part in text.partition(".."))
    if not dots:
        return text, text, ""
    if not low and not high:
        raise FilterError(f"range '{field}={text}' has no lower or upper bound")
    return low or None, high or None, ""


def _comparison(text: str) -> str:
    """The sign of a comparison, ``..`` for a range; empty for another text."""
    text = text.strip()
    if (sign := _SIGN.match(text)) and sign[0] != "=":
        return sign[0]
    low, dots, high = (part.strip() for part in text.partition(".."))
    is_range = bool(dots) and bool(low or high) and all(map(_is_bound, filter(None, (low, high))))
    return ".." if is_range else ""


def _is_bound(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return parse_period(text) is not None
    return True


def _number(column: Column, text: str) -> float:
    try:
        # float() accepts underscores between digits, which in a filter are typing errors.
        value = math.nan if "_" in text else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _unsuitable(column, "a number or range (10, 10..20, 10.., >=10)", text)
    return value


def _period(column: Column, text: str) -> tuple[float, float]:
    """Begin and end of a date in seconds since 1970."""
    period = parse_period(text)
    if period is None:
        raise _unsuitable(column, "a date or range (2024-06-01, 2024-06..2024-08, >=2024)", text)
    start, end = (moment.replace(tzinfo=UTC).timestamp() for moment in period)
    return start, end


def _unsuitable(column: Column, expected: str, text: str) -> FilterError:
    reason = f"{column.name} expects {expected}, got {shortened(text)}"
    return FilterError(f"{reason}; this index has values such as {column.example}")


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
