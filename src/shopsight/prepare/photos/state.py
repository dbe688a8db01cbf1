"""Progress of a preparation of photos, and the kinds of skipped products."""

from __future__ import annotations

from dataclasses import dataclass, field

from shopsight.formats import images
from shopsight.prepare.journal import PrepareState

KINDS = {
    "row": "an unreadable row",
    "id": "a missing or invalid product id",
    "repeated": "a duplicate product id",
    "features": "invalid precomputed features or boxes",
    **images.KINDS,
}
"""Reasons for skipping a product, as counted in ``data.json``."""
TABLE = "table"
"""The group of skipped products in `PrepareState`; a table has no splits yet when it is read."""


@dataclass
class PhotosState(PrepareState):
    """Progress of a preparation of photos.

    Attributes:
        row: rows of the table read so far.
        extracted: products whose regions are stored.
        label_names: names of the labels in the table, in the order of their ids.
    """

    row: int = 0
    extracted: int = 0
    label_names: list[str] = field(default_factory=list)
