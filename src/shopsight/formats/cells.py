"""Cells of tables: lists that are written as text, and whole numbers as ids."""

from __future__ import annotations

import io
import json
import re
import tokenize
from ast import literal_eval

_LONGEST_LIST = 100_000  # characters


def whole_id(text: str) -> str:
    """An id without the decimal point that a spreadsheet or pandas added to whole numbers.

    >>> whole_id("12.0"), whole_id("1.10"), whole_id("007")
    ('12', '1.10', '007')
    """
    match = re.fullmatch(r"([0-9]+)\.0+", text)
    return match[1] if match else text


def parse_list(text: str) -> list[str] | None:
    """The items of a list of texts or numbers as JSON, Python or NumPy write it; else None.

    >>> parse_list('["a", "b"]'), parse_list("['a' 'b']"), parse_list("[1, 'b, c']")
    (['a', 'b'], ['a', 'b'], ['1', 'b, c'])
    >>> parse_list("red"), parse_list("[SALE] dress"), parse_list("[]")
    (None, None, [])
    """
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]") and len(text) <= _LONGEST_LIST):
        return None
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        return _parse_python(text)
    items = [item for item in items if item is not None]
    if not all(isinstance(item, str | int | float) for item in items):
        return None
    return _encodable([item if isinstance(item, str) else json.dumps(item) for item in items])


def _parse_python(text: str) -> list[str] | None:
    """The same for Python's and NumPy's spelling, token by token: nothing is executed."""
    items: list[str] = []
    follows_comma, sign = True, ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text[1:-1]).readline):
            if token.type == tokenize.STRING:
                # Python would join two texts without a comma; NumPy separates items by blanks.
                items.append(_string(token.string))
                follows_comma = False
            elif token.type == tokenize.NUMBER:
                items.append(sign + token.string)
                follows_comma, sign = False, ""
            elif token.string in ("None", "nan"):
                follows_comma = False
            elif token.string == "," and not follows_comma:
                follows_comma = True
            elif token.string == "-" and not sign:
                sign = "-"
            elif token.string.strip():
                return None
    except (tokenize.TokenError, SyntaxError, ValueError):
        return None
    return _encodable(items) if items else None


def _string(literal: str) -> str:
    value = literal_eval(literal)
    if not isinstance(value, str):
        raise ValueError("bytes")
    return value


def _encodable(items: list[str]) -> list[str] | None:
    """The items; None if an item is not valid text: an escape can be half of a surrogate pair."""
    try:
        "".join(items).encode()
    except UnicodeEncodeError:
        return None
    return items
