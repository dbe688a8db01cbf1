"""A photo as a query: decoded with care, cut into regions as the catalogue's were, encoded."""

from __future__ import annotations

import io
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from shopsight.batches.batch import as_regions
from shopsight.catalogue.store import RegionBatch, normalised_boxes
from shopsight.config import SearchConfig
from shopsight.errors import DataError, UsageError, counted
from shopsight.search.models import SearchModels
from shopsight.search.part import DUAL, DUAL_PART
from shopsight.search.recall import Vectors
from shopsight.search.refusals import PhotoError

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
            photo: a JPEG or PNG file's bytes, or the pixels.

        Raises:
            PhotoError: not a photo, too large a one, without any region; or the index has no
                region extractor.
        """
        if not self.available:
            raise PhotoError(
                "this index cannot look at photos: its data were prepared without a region"
                " extractor (shopsight prepare photos keeps one)"
            )
        pixels = decoded(photo) if isinstance(photo, bytes) else _checked(photo)
        (found,) = self._opened().describe([pixels])
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
        if batch.features.shape[1] != self._models.folder.summary["feature_width"]:
            raise DataError("the index's region extractor does not fit its models")
        with torch.inference_mode():
            codes = self._models.model(DUAL).encode_products(as_regions(batch))
        vector: Vectors = codes.tensors()[DUAL_PART].numpy()
        return vector

    def _opened(self) -> Any:
        with self._opening:
            if self._extractor is None:
                try:
                    from shopsight.regions import (  # type: ignore[import-not-found,unused-ignore]
                        load_extractor,
                    )
                except ImportError as error:
                    raise UsageError(
                        "photos as queries need more packages: pip install 'shopsight[photos]'"
                    ) from error
                self._extractor = load_extractor(self._folder)
        return self._extractor


def decoded(content: bytes) -> Photo:
    """A photo file's pixels, turned the right way up.

    Raises:
        PhotoError: not a JPEG, PNG, WebP or GIF file, broken, or too large.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as error:
        raise UsageError("photos need Pillow: pip install 'shopsight[search]'") from error
    most = SearchConfig().photo_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, and of large ones, which we refuse
            with Image.open(io.BytesIO(content), formats=["JPEG", "PNG", "WEBP", "GIF"]) as image:
                if image.width * image.height > most:
                    raise PhotoError(_too_large(most))
                upright = ImageOps.exif_transpose(image).convert("RGB")
                return np.asarray(upright, np.uint8)
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError(_too_large(most)) from error
    except UnidentifiedImageError as error:
        raise PhotoError("not a photo; send a JPEG, PNG, WebP or GIF file") from error
    except Exception as error:  # decoders raise anything on broken files
        raise PhotoError("a broken photo file") from error


def _too_large(most: int) -> str:
    return f"too large a photo; at most {counted(most, 'pixel')}"


def _checked(photo: Photo) -> Photo:
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or not photo.size:
        raise PhotoError(f"a photo is (H, W, 3) uint8, not {photo.shape} {photo.dtype}")
    return photo
