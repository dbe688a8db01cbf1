"""Region sources of `prepare photos`, by extractor name and settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from shopsight.config import LearnConfig, RegionsConfig
from shopsight.errors import UsageError
from shopsight.formats.checksums import checksums, fingerprint
from shopsight.prepare.photos.extract_regions import RegionSource
from shopsight.regions import Extractor, Photo, learn_extractor, load_extractor, make_extractor
from shopsight.regions.starts import resolve
from shopsight.types import Progress

READY_MADE = "features"
LEARNED = "learned"
_GRID = (3, 2)


def region_source(
    name: str, config: RegionsConfig | None = None, learning: LearnConfig | None = None
) -> RegionSource:
    """Source of a catalogue's regions.

    Args:
        name: ``classic``, ``hf:MODEL``, ``features`` (precomputed, in the table), or a folder with
            a saved extractor such as ``DATA/extractor``.
        config: extractor settings; a saved extractor has its own.
        learning: train an extractor on the photos instead of selecting one by name.

    Raises:
        UsageError: ``learning`` together with another extractor.
    """
    config = config or RegionsConfig()
    if learning is not None:
        if name not in (LEARNED, RegionsConfig.extractor):
            raise UsageError(f"--learn trains its own extractor; drop it or --extractor {name}")
        return _learning(replace(learning, regions=replace(config, grid=config.grid or _GRID)))
    if name == READY_MADE:
        return RegionSource({"name": READY_MADE})
    if folder := _saved(Path(name)):
        settings = {"name": "saved", "digest": fingerprint([json.dumps(checksums(folder, ["."]))])}
        return RegionSource(settings, lambda: load_extractor(folder), load_extractor)
    named = replace(config, extractor=name)
    # Batch size and device do not change the result, so a preparation can resume with others.
    result_settings = {
        key: value
        for key, value in asdict(named).items()
        if key not in ("extractor", "batch", "device")
    }
    settings = {"name": name, **result_settings}
    return RegionSource(settings, lambda: make_extractor(named), load_extractor)


def _learning(config: LearnConfig) -> RegionSource:
    config = resolve(config)

    def learn(
        photos: Sequence[Photo],
        words: Sequence[Sequence[str]],
        seed: int,
        progress: Progress,
        folder: Path,
    ) -> Extractor:
        return learn_extractor(photos, words, config, seed, progress, folder)

    return RegionSource(
        {"name": LEARNED, **asdict(replace(config, threads=0))}, None, load_extractor, learn
    )


def _saved(path: Path) -> Path | None:
    """Folder of a saved extractor: the path itself or its ``extractor`` subfolder."""
    for folder in (path, path / "extractor"):
        if (folder / "settings.json").is_file():
            return folder
    return None
