"""The types of columns: one rule for the tables of all formats (docs/photos.md, section Fields).

A column has a type only if every cell that is not empty is of that type as it is written. A code
that a number would change, such as 007, 1e5 or 1.10 beside 1.9, keeps its column text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Literal

import pyarrow as pa

from shopsight.formats.cells import parse_list
from shopsight.formats.dates import parse_date

Kind = Literal["flag", "number", "date", "list", "text"]
Cell = str | int | float | bool | list[str] | None
_SAMPLE = 500
_LONGEST_CURRENCY = 8
_FLAGS = ({"true": True, "false": False}, {"yes": True, "no": False})
_MOST_DIGITS = 15  # which a float keeps
# More digits before the point, such as the 12 of a bar code, are a code.
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]{0,10})(?:\.([0-9]+))?")
_THOUSANDS = re.compile(r"-?[1-9][0-9]{0,2}\.[0-9]{3}")
_AMOUNT = re.compile(r"[0-9](?:[0-9.,' ]*[0-9])?")
_SPELLINGS = str.maketrans({"\u2019": "'", "\u00a0": " ", "\u202f": " ", "\u2212": "-"})
_STYLES = {
    mark: re.compile(
        rf"-?(?:[1-9][0-9]{{0,2}}([{group}' ])[0-9]{{3}}(?:\1[0-9]{{3}})*|0|[1-9][0-9]*)"
        rf"(?:\{mark}([0-9]+))?"
    )
    for mark, group in ((".", ","), (",", "."))
}


@dataclass(frozen=True)
class TypedColumn:
    """P cells as values of one type, None where empty.

    ``misfits`` are the indices of cells that are of another type; of a text column, those that are
    not ``nearly``, the type of most cells. ``reason`` tells why, if that is not obvious.
    ``currencies`` are those of prices.
    """

    kind: Kind
    values: list[Any]
    misfits: list[int] = field(default_factory=list)
    reason: str = ""
    currencies: list[str | None] | None = None
    nearly: Kind | None = None


def read_column(cells: Sequence[Cell]) -> TypedColumn:
    """The cells of a column as values of the type that all of them have.

    >>> read_column(["2.50", None, "13.00"]).values, read_column(["007", "12"]).kind
    ([2.5, None, 13.0], 'text')
    >>> read_column(["$9.95", "1,299.00 $"]).values, read_column(["1 May 2024"]).kind
    ([9.95, 1299.0], 'date')
    """
    types = {type(cell) for cell in cells if cell is not None}
    if types == {bool}:
        return TypedColumn("flag", list(cells))
    if types and types <= {int, float} and not any(map(_is_long, cells)):
        return TypedColumn("number", list(cells))
    if list in types and types <= {list, str}:
        return TypedColumn("list", [[cell] if isinstance(cell, str) else cell for cell in cells])
    texts = list(map(as_written, cells))
    sample = [text for text in texts if text is not None][:_SAMPLE]
    # A type that few of the first cells have is not worth trying on millions.
    columns = [read(texts) for read in _READERS if _is_likely(read(sample))]
    filled = sum(text is not None for text in texts)
    if not columns or not filled:
        return TypedColumn("text", texts)
    best = min(columns, key=lambda column: (len(column.misfits), not column.reason))
    if not best.misfits:
        return best
    if best.kind in ("number", "date") and (best.reason or len(best.misfits) * 2 < filled):
        return TypedColumn("text", texts, best.misfits, best.reason, nearly=best.kind)
    return TypedColumn("text", texts)


def read_as(kind: Kind, cells: Sequence[Cell]) -> TypedColumn:
    """The cells of a column as values of a type; ``misfits`` are those that are not of it."""
    texts = list(map(as_written, cells))
    if kind == "text" or not any(texts):
        return TypedColumn(kind, texts)
    typed = read_column(cells)
    if kind == typed.kind:
        return typed
    if kind == "list":
        lists = [text if text is None else parse_list(text) or [text] for text in texts]
        return TypedColumn("list", lists)
    columns = [read(texts) for read, own in _READERS.items() if own == kind]
    return min(columns, key=lambda column: len(column.misfits))


def _is_likely(column: TypedColumn) -> bool:
    return bool(column.reason) or len(column.misfits) * 2 <= len(column.values)


def as_written(cell: Cell) -> str | None:
    """A cell as text."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, list):
        return ", ".join(cell)
    return cell if cell is None or isinstance(cell, str) else str(cell)


def arrow_array(column: TypedColumn, *, with_times: bool = False) -> pa.Array:
    """A column as Arrow stores it; dates ``with_times`` as times, even if they have none."""
    values = [value for value in column.values if value is not None]
    if column.kind == "number" and any(isinstance(value, float) for value in values):
        return pa.array([None if v is None else float(v) for v in column.values], pa.float64())
    if column.kind == "date" and (with_times or any(isinstance(v, datetime) for v in values)):
        times = [v and datetime.fromisoformat(v.isoformat()) for v in column.values]
        return pa.array(times, pa.timestamp("ms"))  # Parquet has no seconds
    types = {"flag": pa.bool_(), "number": pa.int64(), "date": pa.date32()}
    types["list"] = pa.list_(pa.string())
    return pa.array(column.values, types.get(column.kind, pa.string()))


def _is_long(cell: Cell) -> bool:
    return isinstance(cell, int) and abs(cell) >= 10**_MOST_DIGITS


def _flags(texts: Sequence[str | None]) -> TypedColumn:
    lower = [text and text.lower() for text in texts]
    columns = [_apply("flag", flags.get, lower) for flags in _FLAGS]
    return min(columns, key=lambda column: len(column.misfits))


def _numbers(texts: Sequence[str | None]) -> TypedColumn:
    """Numbers without separators of thousands, in their shortest form or with equal decimals."""
    fractions = {
        text: match[1] for text in texts if text and (match := _PLAIN.fullmatch(text)) and match[1]
    }
    # "2.50" is a number beside "13.00" and "7", but perhaps a version beside "1.9".
    keeps_zeros = len(set(map(len, fractions.values()))) == 1
    is_unsure = bool(fractions) and all(map(_THOUSANDS.fullmatch, fractions))

    def parse(text: str) -> int | float | None:
        if not _PLAIN.fullmatch(text) or text == "-0":
            return None
        if text not in fractions:
            return int(text)
        is_kept = len(re.sub(r"\D", "", text)) <= _MOST_DIGITS and (keeps_zeros or text[-1] != "0")
        return float(text) if not is_unsure and (is_kept or repr(float(text)) == text) else None

    column = _apply("number", parse, texts)
    if not is_unsure:
        return column
    example = next(iter(fractions))
    reason = f"'{example}' may mean {example.replace('.', '')} or {float(example):g}"
    return replace(column, reason=reason)


def _prices(texts: Sequence[str | None]) -> TypedColumn:
    """Amounts with a currency or separators of thousands, in the one style that fits all."""
    parts = [None if text is None else _price_parts(text.translate(_SPELLINGS)) for text in texts]
    has_currency = any(part and part[1] for part in parts)
    columns = {mark: _amounts(texts, parts, mark, has_currency) for mark in _STYLES}
    point, comma = columns["."], columns[","]
    if len(point.misfits) != len(comma.misfits) or point.values == comma.values:
        return min(point, comma, key=lambda column: len(column.misfits))
    # "1,299" and "€ 1.299" fit both: of money, three digits after a mark are thousands.
    grouped = [mark for mark in columns if 3 not in _decimals(parts, mark)]
    if len(grouped) == 1:
        return columns[grouped[0]]
    reason = _two_meanings(texts, point.values, comma.values)
    if not reason:  # each style fits other cells
        return point
    misfits = [i for i, text in enumerate(texts) if text is not None]
    return TypedColumn("number", [None] * len(texts), misfits, reason)


def _amounts(
    texts: Sequence[str | None],
    parts: Sequence[tuple[str, str | None] | None],
    mark: str,
    has_currency: bool,
) -> TypedColumn:
    """Prices whose decimal mark is ``mark``."""
    values = [part and _amount(part[0], mark) for part in parts]
    # Without a currency, only a comma and equal decimals tell an amount from a version or a code.
    is_money = has_currency or (
        any(part and "," in part[0] for part in parts) and len(_decimals(parts, mark) - {0}) <= 1
    )
    values = values if is_money else [None] * len(texts)
    misfits = [i for i, text in enumerate(texts) if text is not None and values[i] is None]
    currencies = [part[1] if part else None for part in parts] if has_currency else None
    return TypedColumn("number", values, misfits, "", currencies)


def _price_parts(text: str) -> tuple[str, str | None] | None:
    """Signed amount and currency of a price, as they are written; None for anything else."""
    from price_parser import Price

    match = _AMOUNT.search(text)
    if not match:
        return None
    before, after = text[: match.start()].strip(), text[match.end() :].strip()
    sign = "-" if "-" in (before[:1], before[-1:]) else ""
    # "100,-" is how some countries write whole amounts.
    currency = f"{before.strip('- ')} {re.sub('^[.,][-–]', '', after)}".strip()
    if not currency:
        return f"{sign}{match[0]}", None
    if len(currency) > _LONGEST_CURRENCY:
        return None
    found = Price.fromstring(f"{currency} 0").currency
    return (f"{sign}{match[0]}", found) if found and found == currency.rstrip(".") else None


def _amount(text: str, mark: str) -> float | None:
    from price_parser import Price

    if not _STYLES[mark].fullmatch(text) or len(re.sub(r"\D", "", text)) > _MOST_DIGITS:
        return None
    amount = Price.fromstring(text.removeprefix("-"), decimal_separator=mark).amount_float
    return None if amount is None else -amount if text.startswith("-") else amount


def _decimals(parts: Sequence[tuple[str, str | None] | None], mark: str) -> set[int]:
    """The numbers of decimals that amounts have if ``mark`` is their decimal mark."""
    matches = [_STYLES[mark].fullmatch(part[0]) for part in parts if part]
    return {len(match[2] or "") for match in matches if match}


def _dates(texts: Sequence[str | None]) -> TypedColumn:
    """Dates; those such as 05/06/2024 only if another cell tells which number is the month."""
    sure, day_first, month_first = (
        _apply("date", partial(parse_date, day_first=order), texts) for order in (None, True, False)
    )
    if not sure.misfits or day_first.values == month_first.values:
        return sure
    if len(day_first.misfits) != len(month_first.misfits):
        return min(day_first, month_first, key=lambda column: len(column.misfits))
    return replace(sure, reason=_two_meanings(texts, day_first.values, month_first.values))


def _two_meanings(texts: Sequence[str | None], values: list[Any], others: list[Any]) -> str:
    """The first cell with two values, as a reason; empty if there is none."""
    for text, value, other in zip(texts, values, others, strict=True):
        if value is not None and other is not None and value != other:
            return f"'{text}' may mean {_shown(value)} or {_shown(other)}"
    return ""


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _lists(texts: Sequence[str | None]) -> TypedColumn:
    return _apply("list", parse_list, texts)


def _apply(kind: Kind, parse: Callable[[str], Any], texts: Sequence[str | None]) -> TypedColumn:
    values = [None if text is None else parse(text) for text in texts]
    misfits = [i for i, text in enumerate(texts) if text is not None and values[i] is None]
    return TypedColumn(kind, values, misfits)


_READERS: dict[Callable[[Sequence[str | None]], TypedColumn], Kind] = {
    _flags: "flag", _numbers: "number", _prices: "number", _dates: "date", _lists: "list"
}  # fmt: skip
