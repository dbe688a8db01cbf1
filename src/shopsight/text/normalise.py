"""Normal form of a query, and its words.

Queries are stored literally, and compared, grouped and tokenised by their normal form.
"""

from __future__ import annotations

import re
import unicodedata

_HYPHENS = "\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u207b\u208b\u2212\u301c\u3030\u30a0\ufe58"
_APOSTROPHES = "`\u00b4\u02b9\u02bb\u02bc\u02bd\u2018\u2019\u201a\u201b\u2032\u2035"
_QUOTES = "\u00ab\u00bb\u02ba\u201c\u201d\u201e\u201f\u2033\u2036\u275d\u275e\u301d\u301e\u301f"
_UNIFIED = str.maketrans(
    dict.fromkeys(_HYPHENS, "-")
    | dict.fromkeys(_APOSTROPHES, "'")
    | dict.fromkeys(_QUOTES, '"')
    | {"\u2044": "/"}  # of fractions
)
_DROPPED = frozenset({"Cc", "Cf", "Co", "Cs"})
_TRADEMARKS = str.maketrans(dict.fromkeys("\u2122\u00ae\u00a9\u2120\u2117", " "))
_SYMBOLS = frozenset({"So", "No"})
_REPLACEMENT = "\ufffd"
_KEPT_S = ("ss", "us", "is")
_ES = ("sses", "xes", "ches", "shes", "zes")
_BETWEEN_WORDS = re.compile(r"[\s,;:!?()\[\]{}<>\"/|\\]+")


def normalise(text: str) -> str:
    r"""The normal form of a text; idempotent.

    Unicode NFKC and case folding; control and format characters, lone surrogates and the
    replacement character are dropped; dashes and quotes of every kind become ``-``, ``'`` and
    ``"``; white space of every kind becomes one space between words. Trademark signs are dropped,
    and other symbols, such as fractions and emoji, are words of their own.

    >>> normalise("  Women’s\tＴ－Shirt – APPLIQUÉS\r\n"), normalise("Nike™ size 7½")
    ("women's t-shirt - appliqués", 'nike size 7 1/2')
    """
    folded = _fold(text)
    # Folding can create what an earlier step removes, so it is repeated to its fixed point.
    while folded != text:
        text, folded = folded, _fold(folded)
    return folded


def words(text: str) -> list[str]:
    """The words of a text in normal form, without the punctuation around them.

    A word keeps its inner hyphens, dots and apostrophes and loses a possessive ending. It has at
    least one letter, digit or mark of any script.

    >>> words("Ms. T-shirt, women's (100% cotton) &")
    ['ms', 't-shirt', 'women', '100', 'cotton']
    >>> words("瑞格布恩 ... हिन्दी")
    ['瑞格布恩', 'हिन्दी']
    """
    bare = (_bare(piece) for piece in _BETWEEN_WORDS.split(normalise(text)))
    return [word for word in bare if word]


def last_word(text: str) -> str:
    """The last word of a text: in English product queries, the head noun.

    A text without any word is its own last word.

    >>> last_word("leopard print women's shoes !"), last_word("$")
    ('shoes', '$')
    """
    return (words(text) or [normalise(text)])[-1]


def singular(word: str) -> str:
    """A word without an English plural ending, judged by its letters alone.

    >>> [singular(word) for word in ("shoes", "dresses", "dress", "watches", "jeans", "bus", "as")]
    ['shoe', 'dress', 'dress', 'watch', 'jean', 'bus', 'as']
    """
    if len(word) <= 3 or not word.endswith("s") or word.endswith(_KEPT_S):
        return word
    return word[:-2] if word.endswith(_ES) else word[:-1]


def _fold(text: str) -> str:
    # Nearly all queries, and several times faster than the general way.
    if text.isascii() and text.isprintable():
        return " ".join(text.replace("`", "'").lower().split())
    # Before NFKC, which would join "Nike™" to "niketm" and "7½" to "71/2".
    text = text.translate(_UNIFIED).translate(_TRADEMARKS)
    kept = "".join(map(_kept, " ".join(text.split())))
    composed = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", kept).casefold())
    return " ".join(composed.translate(_UNIFIED).split())


def _kept(ch: str) -> str:
    category = unicodedata.category(ch)
    if category in _DROPPED or ch == _REPLACEMENT:
        return ""
    is_raised = unicodedata.decomposition(ch).startswith(("<super>", "<sub>"))  # of m²
    return f" {ch} " if category in _SYMBOLS and not is_raised else ch


def _bare(piece: str) -> str:
    bare = _stripped(piece)
    # A loop, because "ms.'s" occurs too.
    while bare.endswith("'s"):
        bare = _stripped(bare[:-2])
    return bare


def _stripped(piece: str) -> str:
    if piece.isalnum():
        return piece
    kept = [i for i, ch in enumerate(piece) if unicodedata.category(ch)[0] in "LNM"]
    return piece[kept[0] : kept[-1] + 1] if kept else ""
