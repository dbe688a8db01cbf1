"""Function words that are left out of queries, from ``stop_words.txt``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from shopsight.text.normalise import normalise

TOKEN_MARKS = frozenset({"-", "'", "s"})
"""What tokenisation leaves of hyphenated words and possessives; no list of stop words lacks it."""


@cache
def stop_words() -> frozenset[str]:
    """Tokens that matching leaves out: English function words, ``-``, ``'`` and ``s``.

    >>> "the" in stop_words(), "without" in stop_words()
    (True, False)
    """
    text = (files("shopsight.text") / "stop_words.txt").read_text(encoding="utf-8")
    return parse_stop_words(text) | TOKEN_MARKS


def parse_stop_words(text: str) -> frozenset[str]:
    r"""The normalised lines of a list of stop words, without empty lines and comments (``#``).

    >>> sorted(parse_stop_words("#\n# pronouns\nI\n\nher \n"))
    ['her', 'i']
    """
    lines = (normalise(line) for line in text.splitlines() if not line.lstrip().startswith("#"))
    return frozenset(line for line in lines if line)
