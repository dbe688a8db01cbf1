"""Parse and validate single values read from files: ids, scores, grades, column names."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_ID = 1_000
LARGEST_SCORE = 1e100
"""Metrics and fusion square scores and add them up, which overflows beyond this."""

_QUERY_IDS = ("query_id", "queryid", "qid", "q_id", "topic_id", "topic", "q", "query")
# PyTerrier numbers its documents in docid; their own ids are in docno.
_PRODUCT_IDS = (
    *("product_id", "productid", "pid", "product", "item_id", "itemid", "item", "article_id"),
    *("docno", "doc_id", "docid", "document_id", "doc", "corpus_id", "passage_id", "sku", "asin"),
)
_SCORES = ("score", "similarity", "sim", "prediction", "pred", "probability", "prob", "proba")
_SCORE_WORDS = {*_SCORES, "scores", "preds", "probs", "predictions", "logit", "logits", "oof"}
_GRADES = (
    *("grade", "relevance", "rel", "label", "judgment", "judgement", "gain", "relevant"),
    *("is_relevant", "target"),
)
_RANKS = ("rank", "ranking", "position", "place")
KNOWN_NAMES = (
    f"known are, for queries: {', '.join(_QUERY_IDS)}; for products: {', '.join(_PRODUCT_IDS)};"
    f" for scores: {', '.join(_SCORES)}; for ranks: {', '.join(_RANKS)}"
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


def loose_id(text: str) -> str:
    """An id without what is lost on the way: blanks, case, leading zeros, the ".0" of a float.

    >>> loose_id(" 007.0"), loose_id("7"), loose_id("A-00"), loose_id("000")
    ('7', '7', 'a-00', '0')
    """
    text = re.sub(r"(?<=[0-9])\.0+$", "", unicodedata.normalize("NFKC", text).strip().casefold())
    return text.lstrip("0") or text[:1]


def unlike_ids(ours: Sequence[str], theirs: Sequence[str]) -> tuple[str, str, str]:
    """An id of either side, which mean the same if possible, and words about how they differ."""
    by_key = {loose_id(text): text for text in ours}
    for text in theirs:
        if (other := by_key.get(loose_id(text), text)) != text:
            return other, text, ", which differ only in zeros, blanks, case or a decimal point"
    return ours[0] if ours else "", theirs[0] if theirs else "", ""


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
    """A relevance grade; true is 1. Raises ValueError for anything but a whole number."""
    if str(value).strip().lower() in ("true", "false"):
        return int(str(value).strip().lower() == "true")
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
    """Column numbers from 0 by content; None, or none, where there is no such column.

    ``numbered`` is True where all other columns are numbered products, best first.
    """

    query_id: int | None
    product_id: int | None
    query_text: int | None
    rank: int | None
    scores: list[int]
    grades: list[int]
    numbered: bool


def find_columns(header: Sequence[str]) -> Columns | None:
    """Find columns by the spellings of their names that are in use; None without a header.

    A line with a number in it is not a header. Of several columns of scores, the one that is
    called just that counts.

    >>> columns = find_columns(["query-id", "corpus-id", "score", "oof_pred"])
    >>> columns.query_id, columns.product_id, columns.scores
    (0, 1, [2])
    >>> find_columns(["qid", "product1", "product2"]).numbered
    True
    """
    names = [normalised_name(name) for name in header]
    if any(map(is_number, names)):
        return None

    def first(spellings: Sequence[str]) -> int | None:
        return next((names.index(name) for name in spellings if name in names), None)

    query_id, text = first(_QUERY_IDS), first(["query"])
    others = [name for i, name in enumerate(names) if i != query_id]
    numbers = [re.fullmatch(r"([a-z_]*[a-z])_?([0-9]+)", name) for name in others]
    stems = {match[1] for match in numbers if match}
    in_order = [int(match[2]) for match in numbers if match] == [*range(1, len(others) + 1)]
    scores = [i for i, name in enumerate(names) if _SCORE_WORDS & set(name.split("_"))]
    exact = [i for i in scores if names[i] in ("score", "scores")]
    return Columns(
        query_id=query_id,
        product_id=first(_PRODUCT_IDS),
        query_text=None if text == query_id else text,
        rank=first(_RANKS),
        scores=exact or scores,
        grades=[names.index(name) for name in _GRADES if name in names],
        numbered=len(stems) == 1 and in_order,
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


def is_number(text: str) -> bool:
    """Whether a text is a number, NaN and infinity included."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_whole(text: str) -> bool:
    """Whether a text is a whole number, such as "3" or "3.0"."""
    return bool(re.fullmatch(r"\s*[+-]?[0-9]+(\.0*)?\s*", text))
