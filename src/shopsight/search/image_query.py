"""A photo as a query: decoded with care, cut into regions as the catalogue's were, encoded."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from shopsight.batches.batch import as_regions
from shopsight.config import SearchConfig, SmallPhotoConfig
from shopsight.data.region_store import RegionBatch, normalised_boxes
from shopsight.errors import DataError, UsageError
from shopsight.formats import images as photo_file
from shopsight.formats.images import read_photo
from shopsight.search.encoders import SearchModels
from shopsight.search.errors import PhotoError
from shopsight.search.retrievers.base import Vectors
from shopsight.search.segment import DUAL, DUAL_PART

READING = "photos.json"
"""Beside an index's region extractor: how the photos of the catalogue were read."""

Photo = NDArray[np.uint8]
"""(H, W, 3) RGB."""


class PhotoEncoder:
    """Photos to vectors of the dual encoder.

    Args:
        folder: the region extractor, which need not be there.
        models: of the index.
    """

    def __init__(self, folder: Path, models: SearchModels) -> None:
        self._folder, self._models = folder, models
        self._extractor: Any = None
        self._opening = threading.Lock()

    @property
    def available(self) -> bool:
        """Whether photos can be queries here."""
        return self._folder.is_dir()

    def vector(self, photo: bytes | Photo) -> Vectors:
        """(1, D) the vector of a photo.

        Args:
            photo: a photo file's bytes, or the pixels.

        Raises:
            PhotoError: not a photo, too large a one, without any region; or the index has no
                region extractor.
        """
        if not self.available:
            raise PhotoError(
                "this index cannot look at photos: its data were prepared without a region"
                " extractor (shopsight prepare photos keeps one)"
            )
        pixels = decoded(photo, self._reading) if isinstance(photo, bytes) else _checked(photo)
        (found,) = self._opened().extract([pixels])
        boxes = np.asarray(found.boxes, np.float32)
        if not len(boxes):
            raise PhotoError("no region was found on the photo")
        sizes = np.repeat(np.array([pixels.shape[:2]], np.int32), len(boxes), axis=0)
        batch = RegionBatch(
            np.asarray(found.features, np.float32),
            normalised_boxes(boxes, sizes),
            np.asarray(found.labels, np.int16),
            np.array([len(boxes)]),
        )
        if batch.features.shape[1] != self._models.folder.manifest["feature_width"]:
            raise DataError("the index's region extractor does not fit its models")
        with torch.inference_mode():
            codes = self._models.model(DUAL).encode_products(as_regions(batch))
        vector: Vectors = codes.tensors()[DUAL_PART].numpy()
        return vector

    @cached_property
    def _reading(self) -> SmallPhotoConfig:
        return _limits(self._folder)

    def _opened(self) -> Any:
        with self._opening:
            if self._extractor is None:
                try:
                    from shopsight.regions import load_extractor
                except ImportError as error:
                    raise UsageError(
                        "photos as queries need more packages: pip install 'shopsight[photos]'"
                    ) from error
                self._extractor = load_extractor(self._folder)
        return self._extractor


def decoded(content: bytes, reading: SmallPhotoConfig) -> Photo:
    """A photo file's pixels, as the catalogue's own photos were read.

    Args:
        content: the file.
        reading: how large photos may come, and how small they are looked at.

    Raises:
        PhotoError: not a photo, broken, or too large.
    """
    try:
        return read_photo(content, reading)
    except photo_file.PhotoError as error:
        raise PhotoError(error.reason.partition(" (--")[0]) from error


def _limits(folder: Path) -> SmallPhotoConfig:
    """How the catalogue's photos were read; a photo that is searched with may not be as large."""
    path, most = folder / READING, SearchConfig().photo_megapixels
    try:
        small = SmallPhotoConfig(**json.loads(path.read_bytes())) if path.exists() else None
    except (ValueError, TypeError, UsageError) as error:
        raise DataError(f"{path}: damaged; make the index again") from error
    small = small or SmallPhotoConfig()
    return replace(small, max_megapixels=min(small.max_megapixels, most))


def _checked(photo: Photo) -> Photo:
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or not photo.size:
        raise PhotoError(f"a photo is (H, W, 3) uint8, not {photo.shape} {photo.dtype}")
    return photo
