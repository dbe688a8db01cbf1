"""Function words that are left out of queries, from ``stop_words.txt``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def stop_words() -> frozenset[str]:
    """Tokens that matching leaves out: English function words, ``-``, ``'`` and ``s``.

    >>> "the" in stop_words(), "without" in stop_words()
    (True, False)
    """
    text = (files("shopsight.text") / "stop_words.txt").read_text(encoding="utf-8")
    lines = (line.strip() for line in text.splitlines())
    return frozenset(line for line in lines if line and not line.startswith("# "))
