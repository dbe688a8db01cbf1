"""How far a preparation is: what its journal notes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class IngestState:
    """Everything a later run needs to go on; kept in the journal as JSON.

    Attributes:
        fingerprint: settings and raw files this state belongs to.
        feature_width: numbers per region feature; 0 before the first row.
        split: index of the split being read.
        offset: position in the split's stream, with its ``crc`` for standard input.
        line: lines of the split read so far.
        rows: good rows of each split.
        products: products stored by the end of each split.
        skipped: per split and kind, how many rows were left out, and the first of them.
        changed_queries: rows whose query id had another text before, per split.
        open_ended: splits whose last line had no line end.
    """

    fingerprint: str
    feature_width: int = 0
    split: int = 0
    offset: int = 0
    crc: int = 0
    line: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    products: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    changed_queries: dict[str, int] = field(default_factory=dict)
    open_ended: list[str] = field(default_factory=list)
    lengths: dict[str, int] = field(default_factory=dict)
