"""Vocabulary of the small world (``vocabulary.yaml``).

A product has one value per attribute; the first attribute is its type, the head noun of queries.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, NamedTuple

import yaml

OTHERS_LABEL = 28
HUMAN_LABELS = (29, 30, 31, 32)


class Value(NamedTuple):
    """An attribute value."""

    name: str  # in the ground truth
    before: tuple[str, ...]  # wordings before the head noun; for a type, the head nouns
    after: tuple[str, ...] = ()  # wordings after it
    label: int = OTHERS_LABEL  # region class of a type
    worn: bool = False  # people often wear products of this type on photos


def _value(entry: dict[str, Any]) -> Value:
    lists: Any = {key: tuple(v) if isinstance(v, list) else v for key, v in entry.items()}
    return Value(**lists)


_VOCABULARY = yaml.safe_load(files(__package__).joinpath("vocabulary.yaml").read_bytes())
KINDS: tuple[str, ...] = tuple(_VOCABULARY["values"])
VALUES: tuple[tuple[Value, ...], ...] = tuple(
    tuple(map(_value, values)) for values in _VOCABULARY["values"].values()
)
LABELS: tuple[str, ...] = tuple(_VOCABULARY["labels"])
NOISE: tuple[str, ...] = tuple(_VOCABULARY["noise"])
