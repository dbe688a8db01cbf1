"""Region sources of `prepare photos`, by extractor name and settings."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from shopsight.config import LearnConfig, RegionsConfig
from shopsight.errors import UsageError
from shopsight.formats.checksums import checksums, fingerprint
from shopsight.prepare.photos.extract_regions import RegionSource
from shopsight.regions import learn_extractor, load_extractor, make_extractor
from shopsight.regions.starts import resolve

READY_MADE = "features"
LEARNED = "learned"
_GRID = (3, 2)


def region_source(
    name: str, config: RegionsConfig | None = None, learning: LearnConfig | None = None
) -> RegionSource:
    """Source of a catalogue's regions, by the name of the extractor (see `RegionsConfig`).

    A saved extractor has its own settings. With ``learning`` one is trained on the photos instead.

    Raises:
        UsageError: ``learning`` together with another extractor.
    """
    config = config or RegionsConfig()
    if learning is not None:
        if name not in (LEARNED, RegionsConfig.extractor):
            raise UsageError(f"--learn trains its own extractor; drop it or --extractor {name}")
        config = replace(config, grid=config.grid or _GRID)
        learning = resolve(replace(learning, regions=config))
        settings = {"name": LEARNED, **asdict(replace(learning, threads=0))}
        learn = partial(learn_extractor, config=learning)
        return RegionSource(settings, load=load_extractor, learn=learn)
    if name == READY_MADE:
        return RegionSource({"name": READY_MADE})
    if folder := _saved(Path(name)):
        settings = {"name": "saved", "digest": fingerprint([json.dumps(checksums(folder, ["."]))])}
        return RegionSource(settings, lambda: load_extractor(folder), load_extractor)
    named = replace(config, extractor=name)
    # Batch size and device do not change the result, so a preparation can resume with others.
    free = ("extractor", "batch", "device")
    settings = {"name": name, **{k: v for k, v in asdict(named).items() if k not in free}}
    return RegionSource(settings, lambda: make_extractor(named), load_extractor)


def _saved(path: Path) -> Path | None:
    """Folder of a saved extractor: the path itself or its ``extractor`` subfolder."""
    for folder in (path, path / "extractor"):
        if (folder / "settings.json").is_file():
            return folder
    return None
