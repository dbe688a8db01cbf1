"""Single fields of files not validated yet: ids, scores, grades, column names."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_ID = 1_000
#: Scores are squared and added up; beyond this that overflows.
LARGEST_SCORE = 1e100

_QUERY_IDS = ("query_id", "queryid", "qid", "topic", "q", "query")
_PRODUCT_IDS = (
    "product_id",
    "productid",
    "pid",
    "product",
    "item_id",
    "item",
    "docid",
    "doc_id",
    "docno",
)
_SCORES = ("score", "scores", "similarity", "sim", "prediction", "pred", "probability", "prob")
KNOWN_NAMES = (
    f"known are, for queries: {', '.join(_QUERY_IDS)}; for products: {', '.join(_PRODUCT_IDS)};"
    f" for scores: {', '.join(_SCORES)}"
)


def parse_id(value: Any, what: str) -> str:
    """An id as a string; JSON's whole numbers are ids too.

    Args:
        value: what stands in the file.
        what: "query id" or "product id", for the sentence.

    Raises:
        ValueError: empty, too long, not a string or whole number, not writable as UTF-8.

    >>> parse_id(103020398, "product id")
    '103020398'
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"{what} {shortened(value)} is not a string or whole number")
    if not value:
        raise ValueError(f"empty {what}")
    if len(value) > LONGEST_ID:
        raise ValueError(f"{what} of {len(value):,} characters (at most {LONGEST_ID:,})")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{what} {value!a} is not valid text")
    return value


def parse_score(value: Any) -> float:
    """A finite score of usable size.

    Raises:
        ValueError: not a number, NaN, infinite, or beyond 1e100.

    >>> parse_score("-1.5e3")
    -1500.0
    """
    if isinstance(value, str):
        try:
            number = float("_" if "_" in value else value)  # Python reads "1_0" as 10
        except ValueError:
            raise ValueError(f"score {shortened(value)} is not a number") from None
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = _as_float(value)
    else:
        raise ValueError(f"score {shortened(value)} is not a number")
    if not math.isfinite(number):
        raise ValueError(f"score {shortened(value)} is not a finite number")
    if abs(number) > LARGEST_SCORE:
        raise ValueError(f"score {shortened(value)} is beyond {LARGEST_SCORE:g}")
    return number


def parse_grade(value: Any) -> int:
    """A grade of relevance, a whole number.

    Raises:
        ValueError: anything else.
    """
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,9}", value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9:
        return value
    raise ValueError(f"grade {shortened(value)} is not a whole number")


def shortened(value: Any) -> str:
    """The value as a sentence can carry it."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "(a huge number)"
    return text if len(text) <= 60 else f"{text[:56]}..."


@dataclass(frozen=True)
class Columns:
    """Which column holds what, from 0; None where no column does."""

    query_id: int | None
    product_id: int | None
    score: int | None
    query_text: int | None


def find_columns(header: Sequence[str]) -> Columns:
    """Find columns by their names, in the spellings that are in use.

    A line with a number in it is no header and has no columns.

    >>> find_columns(["query-id", "product-id", "score"])
    Columns(query_id=0, product_id=1, score=2, query_text=None)
    """
    names = [normalised_name(name) for name in header]
    if any(_is_number(name) for name in names):
        return Columns(None, None, None, None)

    def first(known: Sequence[str]) -> int | None:
        return next((names.index(name) for name in known if name in names), None)

    query_id = first(_QUERY_IDS)
    text = names.index("query") if "query" in names else None
    return Columns(
        query_id, first(_PRODUCT_IDS), first(_SCORES), None if text == query_id else text
    )


def normalised_name(name: str) -> str:
    """A column's name in one spelling.

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


def _as_float(number: int | float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf
