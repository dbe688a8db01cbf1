"""Where the regions of a photo are: what stands out from its border, and parts of that.

No network and nothing random. The photo is looked at in small; what lies around it is taken for
background, which may shade smoothly from one side to another; pixels far from it in colour, and
what they enclose, are the product, or several of them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from shopsight.config import RegionsConfig
from shopsight.regions.extractor import Photo

LABELS = (
    "photo",
    "product",
    "object",
    "top half",
    "bottom half",
    "left half",
    "right half",
    "top third",
    "middle third",
    "bottom third",
    "centre",
)
_PHOTO, _PRODUCT, _OBJECT = 0, 1, 2
_SMALL = 96  # longer side at which a photo is looked at
_LEAST_OBJECT = 0.02  # least share of the photo of an object of its own
_MOST_OBJECTS = 3
_SAME = 0.8  # boxes that overlap more than this (intersection over union) are one
_FLAT = 6.0  # colour distance (Lab) that a plain background may have within itself

# Parts as shares of the product's box, by their label: top, left, bottom, right.
_HALVES = {
    3: (0.0, 0.0, 0.55, 1.0),
    4: (0.45, 0.0, 1.0, 1.0),
    5: (0.0, 0.0, 1.0, 0.55),
    6: (0.0, 0.45, 1.0, 1.0),
}
_CENTRE = {10: (0.25, 0.25, 0.75, 0.75)}
_THIRDS = {7: (0.0, 0.0, 0.36, 1.0), 8: (0.32, 0.0, 0.68, 1.0), 9: (0.64, 0.0, 1.0, 1.0)}
_PARTS = {"none": {}, "halves": _CENTRE | _HALVES, "thirds": _CENTRE | _HALVES | _THIRDS}


class Proposals(NamedTuple):
    """Where the regions of a photo are, n of them, the whole photo first.

    Attributes:
        boxes: (n, 4) float32 pixels: top, left, bottom, right.
        labels: (n,) int16 place in `LABELS`.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int16]


def propose(photo: Photo, config: RegionsConfig) -> Proposals:
    """The whole photo, the product, single objects where there are several, parts of the product.

    Args:
        photo: (H, W, 3), one pixel at least.
        config: how many regions at the most, and which parts.

    >>> photo = np.full((80, 60, 3), 255, np.uint8)
    >>> photo[20:60, 15:45] = (200, 0, 0)
    >>> found = propose(photo, RegionsConfig(most=2))
    >>> found.boxes.tolist()
    [[0.0, 0.0, 80.0, 60.0], [20.0, 15.0, 60.0, 45.0]]
    """
    height, width = photo.shape[:2]
    boxes: list[tuple[float, ...]] = [(0.0, 0.0, height, width)]
    labels = [_PHOTO]

    def add(box: tuple[float, ...], label: int) -> None:
        fresh = all(overlap(box, other) <= _SAME for other in boxes)
        if fresh and len(boxes) < config.most and box[2] - box[0] >= 1 and box[3] - box[1] >= 1:
            boxes.append(box)
            labels.append(label)

    product, objects = _objects(photo)
    add(product, _PRODUCT)
    for one in objects:
        add(one, _OBJECT)
    for label, share in _PARTS[config.parts].items():
        add(_part(product, share), label)
    return Proposals(np.array(boxes, np.float32), np.array(labels, np.int16))


def saliency(photo: Photo) -> NDArray[np.float32]:
    """How far each pixel of a photo is from the background, in Lab, 0 where it may belong to it.

    Args:
        photo: (H, W, 3), of any size; small ones are quicker.

    Returns:
        (H, W) distances to a background that is fitted to the photo's border.
    """
    lab = lab_of(photo)
    height, width = lab.shape[:2]
    basis = _basis(height, width)  # (H, W, 3)
    edge = _border(height, width)
    known, colours = basis[edge], lab[edge]
    weights = np.ones(len(known), np.float32)
    away: NDArray[np.float32]
    for _ in range(3):  # the product may touch the border: what does not fit counts less
        scaled = known * weights[:, None]
        grown = scaled.T @ known + 1e-3 * np.eye(3, dtype=np.float32)
        plane = np.linalg.solve(grown, scaled.T @ colours)
        away = np.sqrt(np.square(colours - known @ plane).sum(1))
        weights = 1 / (1 + np.square(away / _FLAT))
    own = float(np.median(away))
    distance = np.sqrt(np.square(lab - basis @ plane).sum(2))
    away = np.maximum(distance - own, 0).astype(np.float32)
    return away


def lab_of(photo: Photo) -> NDArray[np.float32]:
    """A photo's colours in CIE Lab (D65), where equal distances look alike.

    Args:
        photo: (..., 3) sRGB.

    >>> np.round(lab_of(np.array([[[255, 255, 255]]], np.uint8)), 1).tolist()
    [[[100.0, 0.0, 0.0]]]
    """
    linear = _linear()[photo]
    xyz = np.cbrt(np.maximum(linear @ _TO_XYZ, 0.008856))
    return np.stack(
        [
            116 * xyz[..., 1] - 16,
            500 * (xyz[..., 0] - xyz[..., 1]),
            200 * (xyz[..., 1] - xyz[..., 2]),
        ],
        axis=-1,
    )


def shrunk(photo: Photo, longest: int) -> Photo:
    """A photo with its longer side no longer than ``longest``, by means over its pixels.

    >>> shrunk(np.arange(24, dtype=np.uint8).reshape(2, 4, 3), 2)[..., 0].tolist()
    [[7, 13]]
    """
    factor = -(-max(photo.shape[:2]) // longest)
    if factor <= 1:
        return photo
    rows, columns = (np.arange(0, side, factor) for side in photo.shape[:2])
    sums = np.add.reduceat(photo, rows, axis=0, dtype=np.uint32)
    sums = np.add.reduceat(sums, columns, axis=1)
    heights = np.diff(rows, append=photo.shape[0])
    widths = np.diff(columns, append=photo.shape[1])
    small: Photo = (sums // (heights[:, None] * widths)[..., None]).astype(np.uint8)
    return small


def _objects(photo: Photo) -> tuple[tuple[float, ...], list[tuple[float, ...]]]:
    """The box of all that stands out, and the boxes of single objects if there are several."""
    small = shrunk(photo, _SMALL)
    height, width = small.shape[:2]
    scale = (photo.shape[0] / height, photo.shape[1] / width)
    away = saliency(small)
    strong = float(np.partition(away, int(0.98 * away.size), axis=None)[int(0.98 * away.size)])
    mask = ndimage.binary_closing(away > min(max(0.25 * strong, 4.0), 18.0), iterations=1)
    numbered, _ = ndimage.label(ndimage.binary_fill_holes(mask))
    areas = np.bincount(numbered.ravel())[1:] / mask.size
    found = ndimage.find_objects(numbered)
    boxes: list[tuple[float, ...]] = [
        (
            found[i][0].start * scale[0],
            found[i][1].start * scale[1],
            found[i][0].stop * scale[0],
            found[i][1].stop * scale[1],
        )
        for i in np.argsort(-areas, kind="stable").tolist()
        if areas[i] >= _LEAST_OBJECT / 4
    ]
    if not boxes:
        return (0.0, 0.0, float(photo.shape[0]), float(photo.shape[1])), []
    whole = (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )
    large = boxes[: min(int((areas >= _LEAST_OBJECT).sum()), _MOST_OBJECTS)]
    return whole, large if len(large) > 1 else []


def _part(box: tuple[float, ...], share: tuple[float, ...]) -> tuple[float, ...]:
    top, left, bottom, right = box
    height, width = bottom - top, right - left
    return (
        top + share[0] * height,
        left + share[1] * width,
        top + share[2] * height,
        left + share[3] * width,
    )


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union of two boxes.

    >>> overlap((0, 0, 2, 2), (0, 1, 2, 2))
    0.5
    """
    height = min(one[2], other[2]) - max(one[0], other[0])
    width = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(height, 0.0) * max(width, 0.0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / max(areas - shared, 1e-9)


@lru_cache(maxsize=64)
def _basis(height: int, width: int) -> NDArray[np.float32]:
    """(H, W, 3) what a background may be made of: a constant and a slope each way."""
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return np.stack(np.broadcast_arrays(np.float32(1), rows, columns), axis=-1)


@lru_cache(maxsize=64)
def _border(height: int, width: int) -> NDArray[np.bool_]:
    """(H, W) True around the edge."""
    edge = np.ones((height, width), bool)
    depth = max(1, round(0.03 * min(height, width)))
    edge[depth:-depth, depth:-depth] = False
    return edge


@lru_cache(maxsize=1)
def _linear() -> NDArray[np.float32]:
    """(256,) the light of an sRGB value."""
    value = np.arange(256) / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


# Linear sRGB to X, Y, Z as shares of white (D65); IEC 61966-2-1.
_TO_XYZ = (
    np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    / np.array([0.9505, 1.0, 1.089])
).astype(np.float32)
