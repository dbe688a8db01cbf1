"""Progress of reading raw competition files."""

from __future__ import annotations

from dataclasses import dataclass, field

from shopsight.prepare.journal import PrepareState


@dataclass
class IngestState(PrepareState):
    """Progress of reading raw competition files.

    Attributes:
        split: index of the split being read.
        offset: position in the split's stream.
        crc: checksum of the stream up to there, for standard input.
        line: lines of the split read so far.
        rows: valid rows of each split.
        products: products stored by the end of each split.
        changed_queries: per split, rows whose query id had another text before.
        open_ended: splits whose last line had no line end.
    """

    split: int = 0
    offset: int = 0
    crc: int = 0
    line: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    products: dict[str, int] = field(default_factory=dict)
    changed_queries: dict[str, int] = field(default_factory=dict)
    open_ended: list[str] = field(default_factory=list)
