"""Parse and validate single values read from files: ids, scores, grades, column names."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_ID = 1_000
LARGEST_SCORE = 1e100
"""Metrics and fusion square scores and add them up, which overflows beyond this."""

_QUERY_IDS = ("query_id", "queryid", "qid", "topic", "q", "query")
_PRODUCT_IDS = (
    *("product_id", "productid", "pid", "product", "item_id", "item"),
    *("docid", "doc_id", "docno"),
)
_SCORES = ("score", "scores", "similarity", "sim", "prediction", "pred", "probability", "prob")
KNOWN_NAMES = (
    f"known are, for queries: {', '.join(_QUERY_IDS)}; for products: {', '.join(_PRODUCT_IDS)};"
    f" for scores: {', '.join(_SCORES)}"
)


def parse_id(value: Any, noun: str) -> str:
    """An id as a string; whole numbers in JSON are ids too. ``noun`` names it in messages.

    Raises:
        ValueError: empty, too long, not a string or whole number, not encodable as UTF-8.

    >>> parse_id(103020398, "product id")
    '103020398'
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"{noun} {shortened(value)} is not a string or whole number")
    if not value:
        raise ValueError(f"empty {noun}")
    if len(value) > LONGEST_ID:
        raise ValueError(f"{noun} of {len(value):,} characters (at most {LONGEST_ID:,})")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{noun} {value!a} is not valid text")
    return value


def parse_score(value: Any) -> float:
    """A finite score of usable size.

    Raises:
        ValueError: not a number, NaN, infinite, or beyond 1e100.

    >>> parse_score("-1.5e3")
    -1500.0
    """
    number = math.nan
    try:
        if isinstance(value, str):
            # Python reads "1_0" as 10, which no other program writes or means.
            number = float("_" if "_" in value else value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number = float(value)
        else:
            raise ValueError
    except OverflowError:
        number = math.inf
    except ValueError:
        raise ValueError(f"score {shortened(value)} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"score {shortened(value)} is not a finite number")
    if abs(number) > LARGEST_SCORE:
        raise ValueError(f"score {shortened(value)} is beyond {LARGEST_SCORE:g}")
    return number


def parse_whole(value: Any, noun: str) -> int:
    """A whole number below 1e12; "3.0" and 3.0 are whole numbers. Raises ValueError otherwise.

    >>> parse_whole("3.0", "grade")
    3
    """
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,12}(\.0*)?", value.strip()):
        return int(value.strip().partition(".")[0])
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and abs(value) < 10**12 and value == int(value):
        return int(value)
    raise ValueError(f"{noun} {shortened(value)} is not a whole number")


def parse_count(value: Any, noun: str) -> int:
    """A whole number of at least 0. Raises ValueError otherwise."""
    if (count := parse_whole(value, noun)) < 0:
        raise ValueError(f"{noun} {shortened(value)} is below 0")
    return count


def parse_grade(value: Any) -> int:
    """A relevance grade. Raises ValueError for anything but a whole number."""
    return parse_whole(value, "grade")


def shortened(value: Any) -> str:
    """The ``repr`` of a value, cut to the length of a message."""
    try:
        text = repr(value)
    except ValueError:
        # Python limits the digits of an integer it converts.
        return "(a huge number)"
    return text if len(text) <= 60 else f"{text[:56]}..."


@dataclass(frozen=True)
class Columns:
    """Column numbers from 0 by content; None where there is no such column."""

    query_id: int | None
    product_id: int | None
    score: int | None
    query_text: int | None


def find_columns(header: Sequence[str]) -> Columns:
    """Find columns by the spellings of their names that are in use.

    A line with a number in it is not a header and has no columns.

    >>> find_columns(["query-id", "product-id", "score"])
    Columns(query_id=0, product_id=1, score=2, query_text=None)
    """
    names = [normalised_name(name) for name in header]
    if any(map(_is_number, names)):
        return Columns(None, None, None, None)

    def first(spellings: Sequence[str]) -> int | None:
        return next((names.index(name) for name in spellings if name in names), None)

    query_id, text = first(_QUERY_IDS), first(["query"])
    return Columns(
        query_id, first(_PRODUCT_IDS), first(_SCORES), None if text == query_id else text
    )


def match_column(columns: Sequence[str], spellings: Sequence[str]) -> str:
    """The first column that has one of the spellings, which are tried in their order; else "".

    >>> match_column(["SKU", "Product ID"], ("product_id", "sku"))
    'Product ID'
    """
    by_name = {normalised_name(column): column for column in reversed(columns)}
    return next((by_name[name] for name in spellings if name in by_name), "")


def normalised_name(name: str) -> str:
    """A column name in one spelling.

    >>> normalised_name(' "Query-ID" ')
    'query_id'
    """
    return name.strip().strip('"').strip().lower().replace("-", "_").replace(" ", "_")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
