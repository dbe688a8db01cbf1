"""Photos of any size on a canvas of one size, and boxes there and back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shopsight.regions.extractor import Photo


class Placed(NamedTuple):
    """A photo on a canvas.

    Attributes:
        pixels: (H, W, 3) the canvas.
        scale: pixels of the canvas for one of the photo, down and across.
        corner: where the photo's top left corner lies, down and across.
    """

    pixels: Photo
    scale: tuple[float, float]
    corner: tuple[int, int]

    def shares(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (n, 4) in pixels of the photo, as shares of the canvas."""
        sides = np.array([*self.pixels.shape[:2]] * 2, np.float32)
        scale, corner = np.array([*self.scale] * 2), np.array([*self.corner] * 2)
        found: NDArray[np.float32] = ((boxes * scale + corner) / sides).astype(np.float32)
        return found

    def boxes(self, shares: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (n, 4) in pixels of the photo, of shares of the canvas."""
        sides = np.array([*self.pixels.shape[:2]] * 2, np.float32)
        scale, corner = np.array([*self.scale] * 2), np.array([*self.corner] * 2)
        found: NDArray[np.float32] = ((shares * sides - corner) / scale).astype(np.float32)
        return found


def placed(photo: Photo, height: int, width: int) -> Placed:
    """A photo scaled to fit into a canvas, in its middle; around it the colour of its border.

    >>> one = placed(np.zeros((10, 40, 3), np.uint8), 20, 20)
    >>> one.pixels.shape, one.scale, one.corner
    ((20, 20, 3), (0.5, 0.5), (7, 0))
    """
    high, wide = photo.shape[:2]
    factor = min(height / high, width / wide)
    rows, columns = max(1, round(high * factor)), max(1, round(wide * factor))
    if (rows, columns) == (high, wide):
        small = photo
    else:
        resized = Image.fromarray(photo).resize((columns, rows), Image.Resampling.BILINEAR)
        small = np.asarray(resized)
    border = np.concatenate([photo[0], photo[-1], photo[:, 0], photo[:, -1]])
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = np.median(border, axis=0)
    top, left = (height - rows) // 2, (width - columns) // 2
    pixels[top : top + rows, left : left + columns] = small
    return Placed(pixels, (rows / high, columns / wide), (top, left))
