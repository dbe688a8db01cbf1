"""Regions that come with the table: features, boxes and perhaps labels in columns of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopsight.formats.fields import shortened
from shopsight.formats.images import SmallPhoto
from shopsight.prepare.photos.columns import PhotoRow

_UNIT = 1 << 14  # the size that boxes are noted in where they are shares and there is no photo
_MOST_LABELS = 1 << 15


@dataclass(frozen=True, eq=False)
class ReadyMade:
    """The regions of one product, n of them.

    Attributes:
        boxes: (n, 4) float32 pixels of the stored photo: top, left, bottom, right.
        features: (n, F) float32.
        labels: (n,) int16.
        size: height and width that the boxes are measured in.
    """

    boxes: NDArray[np.float32]
    features: NDArray[np.float32]
    labels: NDArray[np.int16]
    size: tuple[int, int]


def precomputed(
    row: PhotoRow, photo: SmallPhoto | None, width: int, label_names: list[str]
) -> ReadyMade:
    """The regions that a row holds.

    Boxes are (top, left, bottom, right), in pixels of the photo as it came, or in shares of its
    height and width where none is above 1; only such are possible without a photo.

    Args:
        row: the row.
        photo: its photo, if it has one.
        width: F of the rows before; 0 at the first.
        label_names: names of the labels so far; new ones are added.

    Raises:
        ValueError: what does not fit, is no number, or lies outside the photo.
    """
    assert row.regions is not None
    features, boxes, labels = row.regions
    found_boxes = _matrix(boxes, "boxes", 4)
    found = _matrix(features, "features", width, rows=len(found_boxes))
    if (found < 0).any():
        raise ValueError("features below 0, which the models do not take")
    pixels, size = _in_pixels(found_boxes, photo)
    return ReadyMade(pixels, found, _labels(labels, len(pixels), label_names), size)


def _matrix(value: Any, what: str, width: int, rows: int = 0) -> NDArray[np.float32]:
    """(n, width) finite numbers from nested lists, or from one flat list of n x width."""
    try:
        matrix = np.asarray(value, np.float32)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{what} {shortened(value)} are not lists of equally many numbers"
        ) from error
    if value is None or not matrix.size:
        raise ValueError(f"no {what}")
    if matrix.ndim == 1:
        columns = width or (matrix.size // rows if rows and matrix.size % rows == 0 else 0)
        if not columns or matrix.size % columns:
            raise ValueError(f"{matrix.size} numbers of {what} do not divide into regions")
        matrix = matrix.reshape(-1, columns)
    if matrix.ndim != 2 or (width and matrix.shape[1] != width) or (rows and len(matrix) != rows):
        shape = " x ".join(map(str, matrix.shape))
        raise ValueError(f"{what} of shape {shape} instead of {rows or 'n'} x {width or 'F'}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"NaN or infinity among the {what}")
    return matrix


def _in_pixels(
    boxes: NDArray[np.float32], photo: SmallPhoto | None
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    size = (photo.height, photo.width) if photo else (_UNIT, _UNIT)
    is_share = boxes.max() <= 1
    if not is_share and photo is None:
        raise ValueError("boxes in pixels need the photo whose pixels they are")
    whole = (1.0, 1.0)
    if photo and not is_share:
        whole = float(photo.original_height), float(photo.original_width)
    shares = boxes / np.array([*whole, *whole], np.float32)
    outside = (shares < 0).any() or (shares > 1 + 1e-6).any()
    if outside or (shares[:, :2] >= shares[:, 2:]).any():
        raise ValueError("a box that is outside the photo or has no area")
    pixels = shares.clip(max=1) * np.array([*size, *size], np.float32)
    return pixels.astype(np.float32), size


def _labels(value: Any, count: int, names: list[str]) -> NDArray[np.int16]:
    if value is None:
        return np.zeros(count, np.int16)
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(f"labels {shortened(value)} are not a list of {count}")
    numbers = []
    for one in value:
        is_number = isinstance(one, int) and not isinstance(one, bool)
        if is_number and not 0 <= one < _MOST_LABELS:
            raise ValueError(f"label {one} is not from 0 to {_MOST_LABELS - 1}")
        if not is_number and str(one) not in names:
            names.append(str(one))
        numbers.append(one if is_number else names.index(str(one)))
    return np.array(numbers, np.int16)
