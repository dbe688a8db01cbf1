"""From a photo to its regions: boxes, features, labels; one interface, several extractors.

``classic`` describes regions by gradients, colours and texture, without any network; ``hf:MODEL``
pools the activations of a published backbone; ``learned`` those of a small network trained on the
catalogue's own photos (`learn_extractor`). A prepared folder keeps its extractor, so that a new
photo is described as the catalogue was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shopsight.errors import DataError, UsageError
from shopsight.regions.extractor import Extractor, Photo, PhotoRegions

if TYPE_CHECKING:
    from shopsight.config import LearnConfig, RegionsConfig

__all__ = [
    "Extractor",
    "Photo",
    "PhotoRegions",
    "describe",
    "learn_extractor",
    "load_extractor",
    "make_extractor",
]


def make_extractor(config: RegionsConfig) -> Extractor:
    """The extractor that settings ask for.

    Args:
        config: its name and settings.

    Raises:
        UsageError: no extractor of that name, or a package is missing that it needs.
        DataError: a model or saved extractor that cannot be read.
    """
    name = config.extractor
    if name == "classic":
        classic: Extractor = _module("classic").ClassicExtractor(config)
        return classic
    if name.startswith("hf:"):
        published: Extractor = _module("hf_extractor").PretrainedExtractor.open(config)
        return published
    if Path(name).is_dir():
        return load_extractor(Path(name))
    raise UsageError(
        f"--extractor: no extractor '{name}'; take classic, hf:MODEL, or a folder with a saved one"
    )


def load_extractor(folder: Path) -> Extractor:
    """The extractor that was saved in a folder, such as ``DATA/extractor``.

    Raises:
        DataError: the folder holds none, or not one of this version.
    """
    settings = _read_settings(folder)
    name = str(settings["extractor"])
    kind = "hf" if name.startswith("hf:") else name
    classes = {
        "classic": ("classic", "ClassicExtractor"),
        "learned": ("learned_extractor", "LearnedExtractor"),
        "hf": ("hf_extractor", "PretrainedExtractor"),
    }
    if kind not in classes:
        raise DataError(f"{folder}: made by an extractor '{name}' that this version does not know")
    try:
        module, extractor = classes[kind]
        loaded: Extractor = getattr(_module(module), extractor).load(folder, settings)
    except (KeyError, TypeError, ValueError, FileNotFoundError) as error:
        raise DataError(f"{folder}: not the extractor of this version; prepare again") from error
    return loaded


def learn_extractor(
    photos: Sequence[Photo],
    words: Sequence[Sequence[str]],
    config: LearnConfig,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Extractor:
    """Train a small network on photos to predict their words, and describe regions with it.

    Args:
        photos: of training products only; read one by one, so they may be decoded on the way.
        words: of each photo.
        config: the network, its training, and where regions are.
        seed: of everything random.
        progress: told about every epoch, in a few words.

    Raises:
        UsageError: no word stands on enough photos to learn from.
    """
    learned: Extractor = _module("train_extractor").learn(photos, words, config, seed, progress)
    return learned


def describe(photo: Photo, folder: Path) -> PhotoRegions:
    """The regions of one new photo, described as those of a prepared folder.

    Args:
        photo: the photo.
        folder: the prepared folder, or its ``extractor``.
    """
    inner = folder / "extractor"
    return load_extractor(inner if inner.is_dir() else folder).describe([photo])[0]


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / "settings.json"
    try:
        settings = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{folder}: no region extractor was saved here") from error
    except ValueError as error:
        raise DataError(f"{path}: not readable as JSON") from error
    if not isinstance(settings, dict) or "extractor" not in settings:
        raise DataError(f"{path}: not the settings of a region extractor")
    return settings


def _module(name: str) -> Any:
    """A module of this package, whose own needs may not be installed."""
    try:
        return import_module(f"shopsight.regions.{name}")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"regions of photos need {error.name}: pip install 'shopsight[photos]'"
        ) from error
