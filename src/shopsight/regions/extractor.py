"""Settings of a saved region extractor, and extraction in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shopsight.formats.manifest import ManifestFormat
from shopsight.types import Photo, PhotoRegions

SETTINGS = ManifestFormat(
    "settings.json",
    "saved region extractor",
    1,
    "prepare the photos again",
    frozenset({"extractor"}),
    # Its checksum says whether two shards used the same extractor.
    stamped=False,
)


def extract_in_batches(
    extract: Callable[[Sequence[Photo]], list[PhotoRegions]],
    photos: Sequence[Photo],
    batch_size: int,
) -> list[PhotoRegions]:
    """Regions of photos, in input order, extracted ``batch_size`` photos at a time."""
    regions: list[PhotoRegions] = []
    for start in range(0, len(photos), batch_size):
        regions += extract(photos[start : start + batch_size])
    return regions
