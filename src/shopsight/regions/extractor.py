"""Region extractor protocol: photos in; boxes, features and labels out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shopsight.formats.manifest import ManifestFormat

SETTINGS = ManifestFormat(
    "settings.json",
    "saved region extractor",
    1,
    "prepare the photos again",
    frozenset({"extractor"}),
    # Its checksum says whether two shards used the same extractor.
    stamped=False,
)

Photo = NDArray[np.uint8]
"""(H, W, 3) RGB, 0 to 255."""


@dataclass(frozen=True, eq=False)
class PhotoRegions:
    """The n >= 1 regions of one photo.

    Attributes:
        boxes: (n, 4) float32 photo pixels: top, left, bottom, right.
        features: (n, F) float32, finite and non-negative.
        labels: (n,) int16 indices into the extractor's ``label_names``.
    """

    boxes: NDArray[np.float32]
    features: NDArray[np.float32]
    labels: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.boxes)


@runtime_checkable
class Extractor(Protocol):
    """A deterministic region extractor.

    Attributes:
        name: value of ``--extractor`` that selects it.
        width: feature dimension F, a multiple of 16.
        label_names: names of the region labels.
        in_workers: cheap to pickle into worker processes, which call `extract` with one photo at a
            time; otherwise the main process calls it with batches.
    """

    name: str
    width: int
    label_names: tuple[str, ...]
    in_workers: bool

    def extract(self, photos: Sequence[Photo]) -> list[PhotoRegions]:
        """Regions of photos of any size, in input order."""

    def save(self, folder: Path) -> None:
        """Write settings and weights for `load_extractor`."""


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
