"""Preprocess an external photo like catalogue photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopsight.config import SmallPhotoConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import DataError, InputError
from shopsight.formats.images import PhotoError, read_photo


def read_new_photo(source: bytes | Path, data: PreparedData) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of a new photo, resized like the photos of a prepared folder.

    Raises:
        InputError: not a readable photo.
        DataError: the folder was not prepared from photos.
    """
    small = data.manifest["settings"].get("small")
    if small is None:
        raise DataError(f"{data.path} was not prepared from photos")
    try:
        return read_photo(source, SmallPhotoConfig(**small))
    except PhotoError as error:
        path = source if isinstance(source, Path) else "photo"
        raise InputError(error.reason, path=path) from error
