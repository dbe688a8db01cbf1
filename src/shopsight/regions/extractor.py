"""Settings of a saved region extractor."""

from __future__ import annotations

from shopsight.formats.manifest import ManifestFormat

SETTINGS = ManifestFormat(
    "settings.json",
    "saved region extractor",
    2,
    "prepare the photos again",
    frozenset({"extractor"}),
    # Its checksum says whether two shards used the same extractor.
    stamped=False,
)
