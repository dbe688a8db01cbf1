"""Statistics of a query list: lengths, duplicates, unusual forms."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from shopsight.text.normalise import normalise, words
from shopsight.text.stopwords import stop_words

LONG = 12  # words beyond which a query is long
EXAMPLES = 3  # queries that are shown of each kind
REPEATED = "duplicate after normalisation"


class Query(NamedTuple):
    """A literal query, its normal form and its words."""

    text: str
    normal: str
    words: list[str]


ODDITIES: dict[str, Callable[[Query], bool]] = {
    "empty": lambda q: not q.normal,
    "control or format characters": lambda q: any(
        unicodedata.category(c)[0] == "C" for c in q.text
    ),
    "non-ASCII characters": lambda q: not q.text.isascii(),
    "non-Latin script": lambda q: not q.text.isascii() and any(map(_is_foreign, q.text)),
    "upper case": lambda q: q.text != q.text.lower(),
    "repeated white space": lambda q: q.text != " ".join(q.text.split()),
    "starts with punctuation": lambda q: _is_mark(q.normal[:1]),
    "ends with punctuation": lambda q: _is_mark(q.normal[-1:]),
    "isolated punctuation": lambda q: any(all(map(_is_mark, p)) for p in q.normal.split()),
    "unpaired bracket or quote": lambda q: _is_unpaired(q.normal),
    "no word": lambda q: bool(q.normal) and not q.words,
    "function words only": lambda q: bool(q.words) and stop_words().issuperset(q.words),
    "ends with a function word": lambda q: q.words[-1:] != [] and q.words[-1] in stop_words(),
    "ends with a number": lambda q: any(map(_is_number, q.words[-1:])),
    "one word": lambda q: len(q.words) == 1,
    "one-letter word": lambda q: any(len(w) == 1 and w.isalpha() for w in q.words),
    "number": lambda q: any(map(_is_number, q.words)),
    "repeated word": lambda q: len(set(q.words)) < len(q.words),
    f"more than {LONG} words": lambda q: len(q.words) > LONG,
}
"""Predicates by kind; a query can be of several kinds."""


def describe_queries(texts: Iterable[str]) -> dict[str, Any]:
    """Count queries, distinct ones (after normalisation), words and oddities; none is an error.

    >>> described = describe_queries(["red dress", "Red  dress", ", lamp", "of the"])
    >>> {kind: odd["count"] for kind, odd in described["odd"].items() if odd["count"] > 0}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'upper case': 1, 'repeated white space': 1, 'starts with punctuation': 1,
     'isolated punctuation': 1, 'function words only': 1, 'ends with a function word': 1,
     'one word': 1, 'duplicate after normalisation': 1}
    """
    odd: dict[str, dict[str, Any]] = {
        kind: {"count": 0, "examples": []} for kind in (*ODDITIES, REPEATED)
    }
    # Hashes take half the memory of the texts, of which there may be millions.
    seen: set[int] = set()
    lengths: list[int] = []
    for text in texts:
        query = Query(text, normalise(text), words(text))
        kinds = [kind for kind, holds in ODDITIES.items() if holds(query)]
        key = hash(query.normal)
        for kind in kinds + [REPEATED] * (key in seen):
            odd[kind]["count"] += 1
            odd[kind]["examples"] += [text] * (odd[kind]["count"] <= EXAMPLES)
        seen.add(key)
        lengths.append(len(query.words))
    return {
        "queries": len(lengths),
        "distinct": len(seen),
        "words_mean": round(sum(lengths) / max(len(lengths), 1), 2),
        "words_max": max(lengths, default=0),
        "odd": odd,
    }


def _is_mark(ch: str) -> bool:
    return ch != "" and not ch.isalnum() and unicodedata.category(ch)[0] in "PS"


def _is_foreign(ch: str) -> bool:
    return ch.isalpha() and not unicodedata.name(ch, "LATIN").startswith("LATIN")


def _is_number(word: str) -> bool:
    return not word.isalpha() and any(map(str.isdigit, word)) and not any(map(str.isalpha, word))


def _is_unpaired(text: str) -> bool:
    return text.count("(") != text.count(")") or text.count('"') % 2 == 1
