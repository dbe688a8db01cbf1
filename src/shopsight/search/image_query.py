"""Encode a photo as a query, through the catalogue's own photo settings and region extractor."""

from __future__ import annotations

import json
import re
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
from shopsight.formats import images
from shopsight.search.encoders import SearchModels
from shopsight.search.errors import PhotoError
from shopsight.search.retrievers.base import Vectors
from shopsight.search.snapshot import as_vectors

READING = "photos.json"
"""File beside an index's region extractor with the settings that its photos were read with."""

Photo = NDArray[np.uint8]
"""(H, W, 3) RGB."""


class PhotoEncoder:
    """Encodes photos as vectors of the dual encoder; the extractor's folder may be missing."""

    def __init__(self, folder: Path, models: SearchModels) -> None:
        self._folder, self._models = folder, models
        self._extractor: Any = None
        self._loading = threading.Lock()

    @property
    def available(self) -> bool:
        """Whether the index has a region extractor."""
        return self._folder.is_dir()

    def vector(self, photo: bytes | Photo) -> Vectors:
        """(1, D) the vector of a photo, given as file content or pixels. Raises PhotoError."""
        if not self.available:
            raise PhotoError(
                "this index does not support photo queries: its data has no region extractor"
                " (`shopsight prepare photos` stores one)"
            )
        pixels = self._decode(photo) if isinstance(photo, bytes) else _checked(photo)
        (regions,) = self._load_extractor().extract([pixels])
        boxes = np.asarray(regions.boxes, np.float32)
        if not len(boxes):
            raise PhotoError("no region found on the photo")
        sizes = np.repeat(np.array([pixels.shape[:2]], np.int32), len(boxes), axis=0)
        features, labels = np.asarray(regions.features, np.float32), np.asarray(regions.labels)
        boxes, lengths = normalised_boxes(boxes, sizes), np.array([len(boxes)])
        batch = RegionBatch(features, boxes, labels.astype(np.int16), lengths)
        if batch.features.shape[1] != self._models.folder.manifest["feature_width"]:
            raise DataError("the feature dimension of the index's extractor and models differ")
        with torch.inference_mode():
            model = self._models.model(self._models.retrieval)
            return as_vectors(model.encode_products(as_regions(batch)))

    def _decode(self, content: bytes) -> Photo:
        try:
            return images.read_photo(content, self._settings)
        except images.PhotoError as error:
            # Remedies in parentheses are for those who prepare the photos.
            raise PhotoError(re.sub(r" \((--|or pip ).*\)$", "", error.reason)) from error

    @cached_property
    def _settings(self) -> SmallPhotoConfig:
        """The catalogue's photo settings, with the size limit of a query."""
        path, limit = self._folder / READING, SearchConfig().photo_megapixels
        try:
            content = json.loads(path.read_bytes()) if path.exists() else {}
            settings = SmallPhotoConfig(**content)
        except (ValueError, TypeError, UsageError) as error:
            raise DataError(f"{path}: damaged; build the index again") from error
        return replace(settings, max_megapixels=min(settings.max_megapixels, limit))

    def _load_extractor(self) -> Any:
        with self._loading:
            if self._extractor is None:
                try:
                    from shopsight.regions import load_extractor
                except ImportError as error:
                    raise UsageError(
                        "photo queries need more packages: pip install 'shopsight[photos]'"
                    ) from error
                self._extractor = load_extractor(self._folder)
        return self._extractor


def _checked(photo: Photo) -> Photo:
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or not photo.size:
        raise PhotoError(f"a photo is (H, W, 3) uint8, not {photo.shape} {photo.dtype}")
    return photo
