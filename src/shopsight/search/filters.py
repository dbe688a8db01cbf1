"""Filters on product fields: read once from text, applied to all products or said to an engine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from shopsight.errors import unknown_name
from shopsight.formats.fields import shortened
from shopsight.search.errors import FilterError
from shopsight.search.results import Facet, Value
from shopsight.types import AnyArray, BoolArray, IntArray

_CHOICES = 100  # distinct texts up to which a field is a choice
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Filter:
    """What one field must be like.

    Attributes:
        field: its name.
        kind: "text", "number" or "flag".
        equal: of a text (case folded) or a flag: the value.
        low: of a number: the least value, or minus infinity.
        high: of a number: the largest value, or infinity.
        above: whether ``low`` itself is left out.
        below: whether ``high`` itself is left out.
    """

    field: str
    kind: str
    equal: str | bool | None = None
    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False


class FieldTable:
    """The fields of P products, as filters and answers need them.

    Args:
        tables: one after the other; None for products without fields.
        rows: how many products each table is of.

    Attributes:
        table: all of them, P rows.
    """

    def __init__(self, tables: Sequence[pa.Table | None], rows: Sequence[int]) -> None:
        whole = [
            pa.table({"": pa.nulls(count)}) if table is None else table
            for table, count in zip(tables, rows, strict=True)
        ]
        joined = pa.concat_tables(whole, promote_options="permissive") if whole else pa.table({})
        self.table = joined.drop_columns([""]) if "" in joined.column_names else joined
        self._rows = sum(rows)
        self._columns: dict[str, _FieldColumn] = {}

    @property
    def names(self) -> list[str]:
        """Every field."""
        return [str(name) for name in self.table.column_names]

    def of(self, row: int) -> dict[str, Value]:
        """What is known of one product; fields it has no value of are left out."""
        found: dict[str, Value] = {}
        for name in self.names:
            value = _plain(self.table.column(name)[row].as_py())
            if value is not None:
                found[name] = value
        return found

    def conditions(self, filters: Mapping[str, str]) -> list[Filter]:
        """Filters, understood.

        Raises:
            FilterError: an unknown field, or a value that it cannot have.
        """
        return [self._condition(str(name), str(text)) for name, text in filters.items()]

    def allowed(self, conditions: Sequence[Filter]) -> BoolArray | None:
        """(P,) which products meet all conditions; None if there is no condition."""
        allowed: BoolArray | None = None
        for one in conditions:
            met = self._column(one.field).meets(one)
            allowed = met if allowed is None else allowed & met
        return allowed

    def facets(self, alive: BoolArray | None = None) -> tuple[Facet, ...]:
        """The fields that filters can ask for; see `Facet`.

        Args:
            alive: (P,) which products count.
        """
        return tuple(self._column(name).facet(alive) for name in self.names)

    def values(self, name: str, rows: IntArray) -> list[str | float | bool | None]:
        """A field of products (n,) as filters compare it: text case folded, numbers as floats."""
        return self._column(name).compared(rows)

    def kinds(self) -> dict[str, str]:
        """The kind of every field, by name."""
        return {name: self._column(name).kind for name in self.names}

    def _column(self, name: str) -> _FieldColumn:
        if name not in self._columns:
            self._columns[name] = _FieldColumn(name, self.table.column(name))
        return self._columns[name]

    def _condition(self, name: str, text: str) -> Filter:
        if name not in self.names:
            if not self.names:
                raise FilterError("the products of this index have no fields to filter by")
            sentence = str(unknown_name("field", name[:100], self.names))
            raise FilterError(sentence)
        column = self._column(name)
        if column.kind == "text":
            return Filter(name, "text", text.casefold())
        if column.kind == "flag":
            if text.strip().lower() not in _FLAGS:
                raise FilterError(f"{name} is true or false, not {shortened(text)}")
            return Filter(name, "flag", _FLAGS[text.strip().lower()])
        return _range(name, text)


@dataclass(eq=False)
class _FieldColumn:
    """One field of all products."""

    name: str
    stored: pa.ChunkedArray

    @cached_property
    def kind(self) -> str:
        kind = self.stored.type
        if pa.types.is_boolean(kind):
            return "flag"
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            return "number"
        return "text"

    @cached_property
    def numbers(self) -> AnyArray:
        """(P,) float64; NaN where there is none."""
        found: AnyArray = self.stored.cast(pa.float64()).to_numpy()
        return found

    @cached_property
    def flags(self) -> AnyArray:
        """(P,) 1, 0, or -1 where there is none."""
        found: AnyArray = self.stored.cast(pa.int8()).fill_null(-1).to_numpy()
        return found

    @cached_property
    def coded(self) -> tuple[AnyArray, list[str]]:
        """(P,) which text each product has, -1 for none; and the texts."""
        texts = _as_text(self.stored).combine_chunks().dictionary_encode()
        if isinstance(texts, pa.ChunkedArray):
            texts = texts.combine_chunks()
        codes = texts.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return codes, texts.dictionary.to_pylist()

    def meets(self, wanted: Filter) -> BoolArray:
        met: BoolArray
        if self.kind == "number":
            low = self.numbers > wanted.low if wanted.above else self.numbers >= wanted.low
            high = self.numbers < wanted.high if wanted.below else self.numbers <= wanted.high
            met = low & high
        elif self.kind == "flag":
            met = self.flags == int(bool(wanted.equal))
        else:
            codes, texts = self.coded
            suits = np.array([text.casefold() == wanted.equal for text in texts] + [False])
            met = suits[codes]
        return met

    def compared(self, rows: IntArray) -> list[str | float | bool | None]:
        values: list[Any] = self.stored.take(pa.array(rows)).to_pylist()
        if self.kind == "number":
            return [None if one is None or one != one else float(one) for one in values]
        if self.kind == "flag":
            return values
        return [None if one is None else str(one).casefold() for one in values]

    def facet(self, alive: BoolArray | None) -> Facet:
        if self.kind == "number":
            there = self.numbers if alive is None else self.numbers[alive]
            there = there[np.isfinite(there)]
            if not len(there):
                return Facet(self.name, "number")
            return Facet(self.name, "number", {}, float(there.min()), float(there.max()))
        if self.kind == "flag":
            flags = self.flags if alive is None else self.flags[alive]
            said = {"true": int((flags == 1).sum()), "false": int((flags == 0).sum())}
            return Facet(self.name, "flag", said)
        codes, texts = self.coded
        codes = codes if alive is None else codes[alive]
        counts = np.bincount(codes + 1, minlength=len(texts) + 1)[1:]
        held = [(texts[i], int(counts[i])) for i in np.argsort(-counts, kind="stable") if counts[i]]
        if len(held) > _CHOICES:
            return Facet(self.name, "text")
        return Facet(self.name, "choice", dict(held))


def parse_filter(text: str) -> tuple[str, str]:
    """A filter as it is written on a command line: field, and what is asked of it.

    Raises:
        FilterError: no comparison in it.

    >>> parse_filter("price>=10"), parse_filter("colour=dark red"), parse_filter("price=10..20")
    (('price', '>=10'), ('colour', 'dark red'), ('price', '10..20'))
    """
    places = [(text.find(sign), sign) for sign in (">=", "<=", ">", "<", "=") if sign in text]
    if not places or not text[: min(places)[0]].strip():
        raise FilterError(
            f"{shortened(text)} is no filter; write field=value, field=low..high or field>=low"
        )
    place = min(at for at, _ in places)
    sign = next(sign for at, sign in places if at == place)
    value = text[place + len(sign) :].strip()
    return text[:place].strip(), value if sign == "=" else sign + value


def _range(name: str, text: str) -> Filter:
    """A number, or a range of numbers, as `Filters` are written."""
    text = text.strip()
    for sign in (">=", "<=", ">", "<"):
        if text.startswith(sign):
            limit = _number(name, text[len(sign) :])
            if sign[0] == ">":
                return Filter(name, "number", low=limit, above=sign == ">")
            return Filter(name, "number", high=limit, below=sign == "<")
    if ".." not in text:
        value = _number(name, text)
        return Filter(name, "number", low=value, high=value)
    low, _, high = text.partition("..")
    if not low.strip() and not high.strip():
        raise FilterError(f"{name}={text} says neither from where nor to where")
    return Filter(
        name,
        "number",
        low=_number(name, low) if low.strip() else -math.inf,
        high=_number(name, high) if high.strip() else math.inf,
    )


def _number(name: str, text: str) -> float:
    try:
        value = float("_" if "_" in text else text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FilterError(
            f"{name} is a number; {shortened(text)} is none (write 10, 10..20, 10.. or >=10)"
        )
    return value


def _as_text(stored: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(stored.type):
        stored = stored.cast(stored.type.value_type)
    if pa.types.is_string(stored.type):
        return stored
    try:
        return stored.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return pa.chunked_array([[None if one is None else str(one) for one in stored.to_pylist()]],
                                pa.string())  # fmt: skip


def _plain(value: Any) -> Value:
    """A field's value as JSON can hold it; NaN and infinities are no values."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
