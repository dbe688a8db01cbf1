"""How far a preparation of photos is; kept in its journal, so that a later call can go on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shopsight.formats import images as photo

KINDS = {
    "row": "a row that cannot be read",
    "id": "a missing or unusable product id",
    "repeated": "a product id that was met before",
    "features": "ready-made features or boxes that cannot be used",
    **photo.KINDS,
}
"""Why products are left out, as counted in ``data.json``."""


@dataclass
class PhotosState:
    """Everything a later call needs to go on.

    Attributes:
        fingerprint: settings and table this state belongs to.
        row: rows of the table read so far.
        described: products whose regions are stored.
        feature_width: numbers per region feature; 0 before the first region.
        label_names: what labels in the table were called, in the order of their numbers.
        skipped: per kind, how many products were left out, and the first of them.
        lengths: of the growing files.
    """

    fingerprint: str
    row: int = 0
    described: int = 0
    feature_width: int = 0
    label_names: list[str] = field(default_factory=list)
    skipped: dict[str, dict[str, Any]] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)

    def skip(self, kind: str, sentence: str) -> None:
        """Count a product that is left out."""
        self.skipped.setdefault(kind, {"count": 0, "first": sentence})["count"] += 1
