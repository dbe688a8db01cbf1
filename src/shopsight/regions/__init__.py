"""Region extractors: photos to boxes, features and labels.

``classic`` computes gradient, colour and texture descriptors without a network; ``hf:MODEL`` pools
activations of a Hugging Face backbone; ``learned`` pools those of networks that were trained on the
catalogue's own photos (`learn_extractor`). A prepared folder stores its extractor, so that new
photos get the same features as the catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shopsight.errors import DataError, UsageError
from shopsight.regions.extractor import SETTINGS
from shopsight.regions.starts import HF, resolve
from shopsight.types import Extractor, Photo, PhotoRegions, Progress, no_progress

if TYPE_CHECKING:
    from shopsight.config import LearnConfig, RegionsConfig

__all__ = [
    "Extractor",
    "Photo",
    "PhotoRegions",
    "extract_regions",
    "learn_extractor",
    "load_extractor",
    "make_extractor",
]


def make_extractor(config: RegionsConfig) -> Extractor:
    """Build the extractor named by ``config.extractor``.

    Raises:
        UsageError: unknown extractor, or a package it needs is not installed.
        DataError: unreadable model or saved extractor.
    """
    name = config.extractor
    extractor: Extractor
    if name == "classic":
        extractor = _module("classic").ClassicExtractor(config)
    elif name.startswith(HF):
        extractor = _module("network_extractor").NetworkExtractor.pretrained(config)
    elif Path(name).is_dir():
        extractor = load_extractor(Path(name))
    else:
        raise UsageError(
            f"--extractor: unknown extractor '{name}'; expected classic, hf:MODEL or a folder with"
            " a saved extractor"
        )
    return extractor


def load_extractor(folder: Path) -> Extractor:
    """Load the extractor saved in a folder such as ``DATA/extractor``.

    Raises:
        DataError: no extractor in the folder, or one of another version.
    """
    settings = SETTINGS.read(folder)
    name = str(settings["extractor"])
    if name not in ("classic", "learned") and not name.startswith(HF):
        raise DataError(f"{folder}: unknown extractor '{name}', saved by another version")
    try:
        loaded: Extractor
        if name == "classic":
            loaded = _module("classic").ClassicExtractor.load(folder, settings)
        else:
            loaded = _module("network_extractor").NetworkExtractor.load(folder, settings)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder}: extractor saved by another version; prepare the photos again"
        ) from error
    return loaded


def learn_extractor(
    photos: Sequence[Photo],
    words: Sequence[Sequence[str]],
    config: LearnConfig,
    seed: int = 0,
    progress: Progress = no_progress,
    folder: Path | None = None,
) -> Extractor:
    """Train networks to predict the words of photos; their activations are the features.

    Args:
        photos: photos of training products only; indexed one by one, so a lazy sequence is fine.
        words: words of each photo.
        config: network, training and region settings.
        seed: seed of everything random.
        progress: receives "learning" with counts of photos, and "learning: MESSAGE" each epoch.
        folder: receives checkpoints, from which the same call resumes.

    Raises:
        UsageError: too few words occur on enough photos, or an unknown start.
        DataError: unreadable weights to start from.
    """
    config = resolve(config)
    learn = _module("train_extractor").learn
    learned: Extractor = learn(photos, words, config, seed, progress, folder)
    return learned


def extract_regions(photo: Photo, folder: Path) -> PhotoRegions:
    """Extract the regions of a new photo with a prepared folder's (or saved) extractor."""
    inner = folder / "extractor"
    return load_extractor(inner if inner.is_dir() else folder).extract([photo])[0]


def _module(name: str) -> Any:
    """Import a module of this package whose dependencies may be missing."""
    try:
        return import_module(f"shopsight.regions.{name}")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"region extraction requires {error.name}: pip install 'shopsight[photos]'"
        ) from error
