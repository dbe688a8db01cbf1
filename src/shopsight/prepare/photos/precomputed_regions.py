"""Regions from the table itself: columns of features, boxes and, optionally, labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopsight.formats.fields import shortened
from shopsight.formats.images import SmallPhoto
from shopsight.prepare.photos.columns import PhotoRow
from shopsight.types import PhotoRegions

# Relative boxes without a photo are stored in a canvas of this size; float32 holds it exactly.
_UNIT = 1 << 14
_MOST_LABELS = 1 << 15


def precomputed_regions(
    row: PhotoRow, photo: SmallPhoto | None, width: int, label_names: list[str]
) -> tuple[PhotoRegions, tuple[int, int]]:
    """The regions of a row, and height and width of the photo (or canvas) of their boxes.

    Boxes are (top, left, bottom, right) in pixels of the original photo, or relative to its height
    and width if none exceeds 1; without a photo they must be relative.

    ``width`` is F of the earlier rows, 0 at the first. New names are appended to ``label_names``.

    Raises:
        ValueError: shapes that do not match, non-finite numbers, or a box outside the photo.
    """
    assert row.regions is not None
    features, boxes, labels = row.regions
    box_matrix = _matrix(boxes, "boxes", 4)
    feature_matrix = _matrix(features, "features", width, rows=len(box_matrix))
    if (feature_matrix < 0).any():
        # The models take the square root of features, as the competition's are ReLU outputs.
        raise ValueError("features below 0, which the models do not take")
    pixels, size = _in_pixels(box_matrix, photo)
    return PhotoRegions(pixels, feature_matrix, _labels(labels, len(pixels), label_names)), size


def _matrix(value: Any, name: str, width: int, rows: int = 0) -> NDArray[np.float32]:
    """(n, width) finite numbers from nested lists or a flat list of n x width."""
    try:
        matrix = np.asarray(value, np.float32)
    except (ValueError, TypeError) as error:
        reason = f"{name} {shortened(value)} are not lists of equally many numbers"
        raise ValueError(reason) from error
    if value is None or not matrix.size:
        raise ValueError(f"no {name}")
    if matrix.ndim == 1:
        columns = width or (matrix.size // rows if rows and matrix.size % rows == 0 else 0)
        if not columns or matrix.size % columns:
            raise ValueError(f"{matrix.size} numbers of {name} do not divide into regions")
        matrix = matrix.reshape(-1, columns)
    if matrix.ndim != 2 or (width and matrix.shape[1] != width) or (rows and len(matrix) != rows):
        shape = " x ".join(map(str, matrix.shape))
        raise ValueError(f"{name} of shape {shape} instead of {rows or 'n'} x {width or 'F'}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"NaN or infinity among the {name}")
    return matrix


def _in_pixels(
    boxes: NDArray[np.float32], photo: SmallPhoto | None
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    size = (photo.height, photo.width) if photo else (_UNIT, _UNIT)
    is_relative = boxes.max() <= 1
    if not is_relative and photo is None:
        raise ValueError("boxes in pixels need the photo whose pixels they are")
    original = (1.0, 1.0)
    if photo and not is_relative:
        original = float(photo.original_height), float(photo.original_width)
    relative = boxes / np.array([*original, *original], np.float32)
    outside = (relative < 0).any() or (relative > 1 + 1e-6).any()
    if outside or (relative[:, :2] >= relative[:, 2:]).any():
        raise ValueError("a box that is outside the photo or has no area")
    pixels = relative.clip(max=1) * np.array([*size, *size], np.float32)
    return pixels.astype(np.float32), size


def _labels(value: Any, count: int, names: list[str]) -> NDArray[np.int16]:
    if value is None:
        return np.zeros(count, np.int16)
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(f"labels {shortened(value)} are not a list of {count}")
    label_ids = []
    for label in value:
        is_id = isinstance(label, int) and not isinstance(label, bool)
        if is_id and not 0 <= label < _MOST_LABELS:
            raise ValueError(f"label {label} is not from 0 to {_MOST_LABELS - 1}")
        if not is_id and str(label) not in names:
            names.append(str(label))
        label_ids.append(label if is_id else names.index(str(label)))
    return np.array(label_ids, np.int16)
