"""A photo that is not in the catalogue, seen as those that are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopsight.config import SmallPhotoConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import DataError, InputError
from shopsight.formats.images import PhotoError, read_photo


def read_new_photo(source: bytes | Path, data: PreparedData) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of a new photo at the size that a folder's own photos are stored in.

    Args:
        source: the file's bytes, or where it is.
        data: a folder that was prepared from photos.

    Raises:
        InputError: no photo that can be read.
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
