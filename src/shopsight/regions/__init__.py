"""From a photo to its regions: boxes, features, labels; one interface, several extractors.

``classic`` describes regions by gradients, colours and texture, without any network; ``hf:MODEL``
pools the activations of a published backbone; ``learned`` those of a small network trained on the
catalogue's own photos (`learn_extractor`). A prepared folder keeps its extractor, so that a new
photo is described as the catalogue was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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
    """
    raise NotImplementedError


def load_extractor(folder: Path) -> Extractor:
    """The extractor that was saved in a folder, such as ``DATA/extractor``.

    Raises:
        DataError: the folder holds none, or not one of this version.
    """
    raise NotImplementedError


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
    raise NotImplementedError


def describe(photo: Photo, folder: Path) -> PhotoRegions:
    """The regions of one new photo, described as those of a prepared folder.

    Args:
        photo: the photo.
        folder: the prepared folder, or its ``extractor``.
    """
    inner = folder / "extractor"
    return load_extractor(inner if inner.is_dir() else folder).describe([photo])[0]
