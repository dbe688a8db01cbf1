"""Extractor ``classic``: gradient, colour and texture descriptors; no network.

A region is cropped, scaled to 48 x 48 pixels and described by

- histograms of oriented gradients, dimension 324: shape (Dalal and Triggs, 2005; 9 orientations,
  4 x 4 cells, normalised over blocks of 2 x 2);
- colour histograms in CIE Lab, dimension 16 (lightness) + 100 (a by b);
- mean colours of 3 x 3 cells, dimension 45, and colour deviations, dimension 3;
- local binary patterns of 2 x 2 cells, dimension 40: texture (Ojala et al., 2002).

Each group is scaled to a mean of about 1, so that no group dominates distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import feature

from shopsight.config import RegionsConfig
from shopsight.regions.extractor import SETTINGS
from shopsight.regions.propose import LABELS, downscale, propose, rgb_to_lab
from shopsight.types import Photo, PhotoRegions

NAME = "classic"
_hog: Any = feature.hog
_local_patterns: Any = feature.local_binary_pattern
_SIDE = 48  # pixels of a region's sides
_LONGEST = 320  # longer side of a photo; larger ones are shrunk first
_HOG, _LIGHT, _AB, _GRID, _SPREAD, _LBP = 324, 16, 100, 45, 3, 40
_WIDTH = _HOG + _LIGHT + _AB + _GRID + _SPREAD + _LBP
_PATTERNS = 10  # 9 uniform patterns of 8 neighbours, and all others
# Bin edges of a and b, finer around grey because most products have muted colours.
_EDGES = np.array([-40.0, -20.0, -9.0, -3.0, 3.0, 9.0, 20.0, 40.0, 60.0], np.float32)


class ClassicExtractor:
    """Descriptor-based region extractor."""

    name = NAME
    width = _WIDTH
    label_names = LABELS
    in_workers = True

    def __init__(self, config: RegionsConfig) -> None:
        self.config = config

    @classmethod
    def load(cls, folder: Path, settings: dict[str, Any]) -> ClassicExtractor:  # noqa: ARG003
        """Load the extractor written by `save`; ``settings`` is its parsed settings file."""
        return cls(RegionsConfig(**settings["regions"]))

    def extract(self, photos: Sequence[Photo]) -> list[PhotoRegions]:
        """Regions of photos of any size, in input order."""
        return [self._extract(photo) for photo in photos]

    def save(self, folder: Path) -> None:
        """Write the settings."""
        folder.mkdir(parents=True, exist_ok=True)
        SETTINGS.write(folder, {"extractor": NAME, "regions": asdict(self.config)})

    def _extract(self, photo: Photo) -> PhotoRegions:
        proposals = propose(photo, self.config)
        small = downscale(photo, _LONGEST)
        scale = (
            np.float32(small.shape[0] / photo.shape[0]),
            np.float32(small.shape[1] / photo.shape[1]),
        )
        patches = _patches(small, proposals.boxes * np.array([*scale, *scale], np.float32))
        return PhotoRegions(proposals.boxes, descriptors(patches), proposals.labels)


def descriptors(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, 528) non-negative float32 descriptors of region crops (n, 48, 48, 3)."""
    lab = rgb_to_lab(patches)  # (n, 48, 48, 3)
    grey = np.clip(lab[..., 0] * 2.55, 0, 255).astype(np.uint8)
    groups = [
        8 * _gradients(grey),
        _LIGHT * _histogram(lab[..., 0] * (_LIGHT / 100.001), _LIGHT),
        _AB * _histogram(_ab_bins(lab), _AB),
        _colours(lab) / 25,
        lab.std((1, 2)) / 15,
        _PATTERNS * _texture(grey),
    ]
    return np.concatenate(groups, axis=1, dtype=np.float32)


def _patches(photo: Photo, boxes: NDArray[np.float32]) -> NDArray[np.uint8]:
    image = Image.fromarray(photo)
    height, width = photo.shape[:2]
    crops = np.empty((len(boxes), _SIDE, _SIDE, 3), np.uint8)
    for i, (top, left, bottom, right) in enumerate(boxes.tolist()):
        box = (max(left, 0), max(top, 0), min(right, width), min(bottom, height))
        crops[i] = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, box=box))
    return crops


def _gradients(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, 324) histograms of oriented gradients."""
    cell = _SIDE // 4
    rows = [_hog(patch, 9, (cell, cell), (2, 2), block_norm="L2-Hys") for patch in grey]
    return np.array(rows, np.float32)


def _histogram(bins: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """(n, count) fraction of each region's pixels per bin; bin indices are rounded down."""
    flat = bins.reshape(len(bins), -1).astype(np.int64)
    flat += np.arange(len(bins))[:, None] * count
    sums = np.bincount(flat.ravel(), minlength=len(bins) * count)
    return (sums.reshape(len(bins), count) / flat.shape[1]).astype(np.float32)


def _ab_bins(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    a, b = (np.searchsorted(_EDGES, lab[..., i]) for i in (1, 2))
    return (a * (len(_EDGES) + 1) + b).astype(np.float32)


def _colours(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 45) lightness, redness, yellowness, greenness and blueness of 3 x 3 cells."""
    side = _SIDE // 3
    cells = lab.reshape(len(lab), 3, side, 3, side, 3).mean((2, 4)).reshape(len(lab), 9, 3)
    parts = [cells[..., :1] / 2, np.maximum(cells[..., 1:], 0), np.maximum(-cells[..., 1:], 0)]
    return np.concatenate(parts, axis=2).reshape(len(lab), _GRID)


def _texture(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, 40) local binary patterns in 2 x 2 cells."""
    # One call for all regions: the seams between them hardly matter, and every call is slow.
    tall = grey.reshape(-1, _SIDE)
    codes = _local_patterns(tall, 8, 1, "uniform").reshape(len(grey), 2, _SIDE // 2, 2, -1)
    cells = codes.transpose(0, 1, 3, 2, 4).reshape(len(grey) * 4, -1)
    return _histogram(cells.astype(np.float32), _PATTERNS).reshape(len(grey), _LBP)
