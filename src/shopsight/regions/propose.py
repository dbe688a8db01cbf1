"""Region proposals: salient objects and their parts.

Deterministic, without a network. On a downscaled photo, a smooth colour gradient is fitted to the
border as background; pixels far from it in colour, holes filled, form the product or several
objects.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from shopsight.config import RegionsConfig
from shopsight.types import Photo

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
    "cell",
)
_PHOTO, _PRODUCT, _OBJECT, _CELL = 0, 1, 2, 11
_SIDE = 96  # longer side of the downscaled photo, in pixels
_MIN_OBJECT = 0.02  # minimum fraction of the photo covered by a separate object
_MAX_OBJECTS = 3
_DUPLICATE_IOU = 0.8  # boxes that overlap more than this are duplicates
_FLAT = 6.0  # Lab distance within a plain background

# Parts as fractions of the product's box, by label: top, left, bottom, right.
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
    """Boxes (n, 4) float32 in pixels and labels (n,) int16 (index into `LABELS`); photo first."""

    boxes: NDArray[np.float32]
    labels: NDArray[np.int16]


def propose(photo: Photo, config: RegionsConfig) -> Proposals:
    """Propose the whole photo, the product, separate objects, grid cells and product parts.

    >>> photo = np.full((80, 60, 3), 255, np.uint8)
    >>> photo[20:60, 15:45] = (200, 0, 0)
    >>> propose(photo, RegionsConfig(max_regions=2)).boxes.tolist()
    [[0.0, 0.0, 80.0, 60.0], [20.0, 15.0, 60.0, 45.0]]
    """
    height, width = photo.shape[:2]
    boxes: list[tuple[float, ...]] = [(0.0, 0.0, height, width)]
    labels = [_PHOTO]

    def add(box: tuple[float, ...], label: int) -> None:
        new = all(iou(box, other) <= _DUPLICATE_IOU for other in boxes)
        visible = box[2] - box[0] >= 1 and box[3] - box[1] >= 1
        if new and visible and len(boxes) < config.max_regions:
            boxes.append(box)
            labels.append(label)

    product, objects = _objects(photo)
    add(product, _PRODUCT)
    for box in objects:
        add(box, _OBJECT)
    rows, columns = config.grid or (0, 0)
    for row, column in np.ndindex(rows, columns):
        cell = (row / rows, column / columns, (row + 1) / rows, (column + 1) / columns)
        add(_part(boxes[0], cell), _CELL)
    for label, fractions in _PARTS[config.parts].items():
        add(_part(product, fractions), label)
    return Proposals(np.array(boxes, np.float32), np.array(labels, np.int16))


def saliency(photo: Photo) -> NDArray[np.float32]:
    """(H, W) Lab distances of a photo's pixels to the fitted background, 0 within its noise."""
    lab = rgb_to_lab(photo)
    height, width = lab.shape[:2]
    basis = _basis(height, width)  # (H, W, 3)
    edge = _border(height, width)
    inputs, colours = basis[edge], lab[edge]
    weights = np.ones(len(inputs), np.float32)
    residual: NDArray[np.float32]
    # Iteratively reweighted least squares with Cauchy weights: a product that touches the border
    # must not tilt the background.
    for _ in range(3):
        weighted = inputs * weights[:, None]
        gram = weighted.T @ inputs + 1e-3 * np.eye(3, dtype=np.float32)
        plane = np.linalg.solve(gram, weighted.T @ colours)
        residual = np.sqrt(np.square(colours - inputs @ plane).sum(1))
        weights = 1 / (1 + np.square(residual / _FLAT))
    noise = float(np.median(residual))
    distance = np.sqrt(np.square(lab - basis @ plane).sum(2))
    salient: NDArray[np.float32] = np.maximum(distance - noise, 0).astype(np.float32)
    return salient


def rgb_to_lab(photo: Photo) -> NDArray[np.float32]:
    """Convert sRGB (..., 3) to CIE Lab (D65), where distances match perceived differences.

    An order of magnitude faster than `skimage.color.rgb2lab` thanks to a 256-entry table.

    >>> np.round(rgb_to_lab(np.array([[[255, 255, 255]]], np.uint8)), 1).tolist()
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


def downscale(photo: Photo, longest: int) -> Photo:
    """Downscale by an integer factor (box filter) until the longer side is at most ``longest``.

    >>> downscale(np.arange(24, dtype=np.uint8).reshape(2, 4, 3), 2)[..., 0].tolist()
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
    """The box around all salient pixels, and the boxes of separate objects if several."""
    small = downscale(photo, _SIDE)
    height, width = small.shape[:2]
    scale = (photo.shape[0] / height, photo.shape[1] / width)
    salient = saliency(small)
    rank = int(0.98 * salient.size)
    strong = float(np.partition(salient, rank, axis=None)[rank])
    # The threshold follows the photo's contrast, within bounds that noise and glare do not pass.
    mask = ndimage.binary_closing(salient > min(max(0.25 * strong, 4.0), 18.0), iterations=1)
    components, _ = ndimage.label(ndimage.binary_fill_holes(mask))
    areas = np.bincount(components.ravel())[1:] / mask.size
    slices = ndimage.find_objects(components)
    boxes: list[tuple[float, ...]] = [
        (
            slices[i][0].start * scale[0],
            slices[i][1].start * scale[1],
            slices[i][0].stop * scale[0],
            slices[i][1].stop * scale[1],
        )
        for i in np.argsort(-areas, kind="stable").tolist()
        if areas[i] >= _MIN_OBJECT / 4
    ]
    if not boxes:
        return (0.0, 0.0, float(photo.shape[0]), float(photo.shape[1])), []
    whole = (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )
    large = boxes[: min(int((areas >= _MIN_OBJECT).sum()), _MAX_OBJECTS)]
    return whole, large if len(large) > 1 else []


def _part(box: tuple[float, ...], fractions: tuple[float, ...]) -> tuple[float, ...]:
    top, left, bottom, right = box
    height, width = bottom - top, right - left
    return (
        top + fractions[0] * height,
        left + fractions[1] * width,
        top + fractions[2] * height,
        left + fractions[3] * width,
    )


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union of two boxes.

    >>> iou((0, 0, 2, 2), (0, 1, 2, 2))
    0.5
    """
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    intersection = max(height, 0.0) * max(width, 0.0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return intersection / max(areas - intersection, 1e-9)


@lru_cache(maxsize=64)
def _basis(height: int, width: int) -> NDArray[np.float32]:
    """(H, W, 3) regression inputs of the background: a constant and a slope per axis."""
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return np.stack(np.broadcast_arrays(np.float32(1), rows, columns), axis=-1)


@lru_cache(maxsize=64)
def _border(height: int, width: int) -> NDArray[np.bool_]:
    """(H, W) mask of the photo's border."""
    edge = np.ones((height, width), bool)
    depth = max(1, round(0.03 * min(height, width)))
    edge[depth:-depth, depth:-depth] = False
    return edge


@lru_cache(maxsize=1)
def _linear() -> NDArray[np.float32]:
    """(256,) linear light of each sRGB value."""
    value = np.arange(256) / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


# Linear sRGB to XYZ relative to white (D65); IEC 61966-2-1.
_TO_XYZ = (
    np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    / np.array([0.9505, 1.0, 1.089])
).astype(np.float32)
