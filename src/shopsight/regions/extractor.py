"""What every region extractor is: photos in, boxes with features and labels out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]
"""A photo: (H, W, 3) red, green and blue from 0 to 255."""


@dataclass(frozen=True, eq=False)
class PhotoRegions:
    """The regions of one photo, n of them, at least one.

    Attributes:
        boxes: (n, 4) float32 pixels of the photo as given: top, left, bottom, right.
        features: (n, F) float32, finite, none below 0.
        labels: (n,) int16 place of each region's label in the extractor's ``label_names``.
    """

    boxes: NDArray[np.float32]
    features: NDArray[np.float32]
    labels: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.boxes)


@runtime_checkable
class Extractor(Protocol):
    """Describes photos by their regions; the same photo always in the same way.

    Attributes:
        name: what ``--extractor`` calls it.
        width: F, the numbers per region feature; a multiple of 16.
        label_names: what a region can be called.
        in_workers: cheap to send to other processes, which then call `describe` with one photo
            at a time; otherwise it is called in the main process, with some tens at a time.
    """

    name: str
    width: int
    label_names: tuple[str, ...]
    in_workers: bool

    def describe(self, photos: Sequence[Photo]) -> list[PhotoRegions]:
        """The regions of photos of any size, in their order."""

    def save(self, folder: Path) -> None:
        """Write settings and weights; `load_extractor` makes the same extractor of them."""


def in_batches(
    describe: Callable[[Sequence[Photo]], list[PhotoRegions]], photos: Sequence[Photo], size: int
) -> list[PhotoRegions]:
    """The regions of photos, in their order, described ``size`` photos at a time."""
    done: list[PhotoRegions] = []
    for start in range(0, len(photos), size):
        done += describe(photos[start : start + size])
    return done
