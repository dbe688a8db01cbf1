"""What a preparation of photos is handed to describe them with, by its name and settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import xxhash

from shopsight.config import LearnConfig, RegionsConfig
from shopsight.errors import UsageError
from shopsight.prepare.photos.extract_regions import Pixels, RegionSource
from shopsight.regions import Extractor, learn_extractor, load_extractor, make_extractor

READY_MADE = "features"
LEARNED = "learned"


def region_source(
    name: str, config: RegionsConfig | None = None, learning: LearnConfig | None = None
) -> RegionSource:
    """Where the regions of a catalogue come from.

    Args:
        name: ``classic``, ``hf:MODEL``, ``features`` for those that come with the table, or a
            folder with an extractor that was saved, such as ``DATA/extractor``.
        config: its settings; a saved extractor has its own.
        learning: learn an extractor from the photos themselves instead of taking one by name.

    Raises:
        UsageError: ready-made regions with something to learn.
    """
    config = config or RegionsConfig()
    folder = _saved(Path(name))
    if learning is not None:
        if name not in (LEARNED, RegionsConfig.extractor):
            raise UsageError(f"--learn makes its own regions, and --extractor {name} names others")
        return _learning(replace(learning, regions=config))
    if name == READY_MADE:
        return RegionSource({"name": READY_MADE})
    if folder:
        settings = {"name": "saved", "digest": _digest(folder)}
        return RegionSource(settings, lambda: load_extractor(folder), load_extractor)
    named = replace(config, extractor=name)
    # Where it runs and how many photos at once is no part of what it finds.
    found = {k: v for k, v in asdict(named).items() if k not in ("extractor", "batch", "device")}
    return RegionSource({"name": name, **found}, lambda: make_extractor(named), load_extractor)


def _learning(config: LearnConfig) -> RegionSource:
    def learn(
        photos: Sequence[Pixels],
        words: Sequence[Sequence[str]],
        seed: int,
        say: Callable[[str], None],
    ) -> Extractor:
        return learn_extractor(photos, words, config, seed, say)

    settings = {"name": LEARNED, **asdict(replace(config, threads=0))}
    return RegionSource(settings, None, load_extractor, learn)


def _saved(path: Path) -> Path | None:
    """The folder of a saved extractor: the path itself, or ``extractor`` in it."""
    for folder in (path, path / "extractor"):
        if (folder / "settings.json").is_file():
            return folder
    return None


def _digest(folder: Path) -> str:
    digest = xxhash.xxh3_128()
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
