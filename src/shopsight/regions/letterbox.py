"""Letterbox transform: fit photos of any size into a fixed canvas, and map boxes both ways."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from shopsight.types import Photo

_THREADS = 8  # for resizing; Pillow releases the interpreter lock


class Letterboxed(NamedTuple):
    """A photo centred on a canvas."""

    pixels: Photo  # (H, W, 3) canvas
    scale: tuple[float, float]  # canvas pixels per photo pixel, vertical and horizontal
    corner: tuple[int, int]  # top and left of the photo on the canvas, in pixels

    def to_relative(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (n, 4) in photo pixels as fractions of the canvas sides."""
        sides, scale, corner = self._per_side()
        relative: NDArray[np.float32] = ((boxes * scale + corner) / sides).astype(np.float32)
        return relative

    def to_pixels(self, relative: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (n, 4) in fractions of the canvas sides as photo pixels."""
        sides, scale, corner = self._per_side()
        boxes: NDArray[np.float32] = ((relative * sides - corner) / scale).astype(np.float32)
        return boxes

    def _per_side(self) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.int64]]:
        sides = np.array([*self.pixels.shape[:2]] * 2, np.float32)
        return sides, np.array([*self.scale] * 2), np.array([*self.corner] * 2)


def letterbox(photo: Photo, height: int, width: int) -> Letterboxed:
    """Scale a photo to fit a canvas and centre it; the padding has the photo's border colour.

    >>> boxed = letterbox(np.zeros((10, 40, 3), np.uint8), 20, 20)
    >>> boxed.pixels.shape, boxed.scale, boxed.corner
    ((20, 20, 3), (0.5, 0.5), (7, 0))
    """
    photo_height, photo_width = photo.shape[:2]
    factor = min(height / photo_height, width / photo_width)
    rows, columns = max(1, round(photo_height * factor)), max(1, round(photo_width * factor))
    if (rows, columns) == (photo_height, photo_width):
        scaled = photo
    else:
        resized = Image.fromarray(photo).resize((columns, rows), Image.Resampling.BILINEAR)
        scaled = np.asarray(resized)
    # Black bars would be salient edges to a convolutional network; the border colour is not.
    border = np.concatenate([photo[0], photo[-1], photo[:, 0], photo[:, -1]])
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = np.median(border, axis=0)
    top, left = (height - rows) // 2, (width - columns) // 2
    pixels[top : top + rows, left : left + columns] = scaled
    return Letterboxed(pixels, (rows / photo_height, columns / photo_width), (top, left))


def letterbox_all(
    photos: Sequence[Photo], height: int, width: int
) -> tuple[list[Letterboxed], Tensor]:
    """`letterbox` of each photo, and all canvases as (B, H, W, 3) uint8."""
    with ThreadPoolExecutor(_THREADS) as pool:
        letterboxed = list(pool.map(lambda photo: letterbox(photo, height, width), photos))
    return letterboxed, torch.from_numpy(np.stack([photo.pixels for photo in letterboxed]))
