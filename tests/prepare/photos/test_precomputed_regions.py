"""Regions that come with the table."""

from __future__ import annotations

import numpy as np
import pytest

from shopsight.formats.images import SmallPhoto
from shopsight.prepare.photos.columns import PhotoRow
from shopsight.prepare.photos.precomputed_regions import precomputed_regions

PHOTO = SmallPhoto(b"", 100, 50, original_height=400, original_width=200)
FEATURES = [[1.0, 2.0], [3.0, 4.0]]
PIXELS = [[0, 0, 400, 200], [100, 50, 200, 150]]
RELATIVE = [[0, 0, 1, 1], [0.25, 0.25, 0.5, 0.75]]


def row(features=FEATURES, boxes=PIXELS, labels=None) -> PhotoRow:
    return PhotoRow("1", None, "", "", (), {}, (features, boxes, labels))


@pytest.mark.parametrize("boxes", [PIXELS, RELATIVE])
def test_boxes_become_pixels_of_the_stored_photo(boxes):
    regions, size = precomputed_regions(row(boxes=boxes), PHOTO, 0, [])
    assert regions.boxes.tolist() == [[0, 0, 100, 50], [25, 12.5, 50, 37.5]]
    assert regions.features.tolist() == FEATURES
    assert regions.labels.tolist() == [0, 0]
    assert size == (100, 50)


def test_relative_boxes_need_no_photo():
    regions, (height, width) = precomputed_regions(row(boxes=RELATIVE), None, 0, [])
    assert (regions.boxes / [height, width, height, width]).tolist() == RELATIVE


def test_flat_lists_are_cut_into_regions():
    regions, _ = precomputed_regions(row([1, 2, 3, 4], [0, 0, 1, 1, 0, 0, 1, 0.5]), None, 0, [])
    assert regions.features.tolist() == [[1, 2], [3, 4]]
    regions, _ = precomputed_regions(row([1, 2, 3, 4], [0, 0, 1, 1]), None, 4, [])
    assert regions.features.shape == (1, 4)


def test_labels_are_numbers_or_names():
    names = ["dress"]
    regions, _ = precomputed_regions(row(labels=["shoe", "dress"]), PHOTO, 2, names)
    assert regions.labels.tolist() == [1, 0]
    assert names == ["dress", "shoe"]
    regions, _ = precomputed_regions(row(labels=[7, 0]), PHOTO, 2, [])
    assert regions.labels.tolist() == [7, 0]


@pytest.mark.parametrize(
    ("values", "photo", "sentence"),
    [
        ({"features": None}, PHOTO, "no features"),
        ({"boxes": []}, PHOTO, "no boxes"),
        ({"features": [[1, 2], [3]]}, PHOTO, "are not lists of equally many numbers"),
        ({"features": "many"}, PHOTO, "are not lists of equally many numbers"),
        ({"features": [[1, 2]]}, PHOTO, "features of shape 1 x 2 instead of 2 x 2"),
        ({"features": [[1, 2, 3], [4, 5, 6]]}, PHOTO, "features of shape 2 x 3 instead of 2 x 2"),
        ({"features": [[1, np.nan], [1, 2]]}, PHOTO, "NaN or infinity among the features"),
        ({"features": [[1, -1], [1, 2]]}, PHOTO, "features below 0"),
        ({"boxes": [[0, 0, 1]] * 2}, PHOTO, "boxes of shape 2 x 3 instead of n x 4"),
        ({"boxes": [1, 2, 3]}, PHOTO, "3 numbers of boxes do not divide into regions"),
        ({"boxes": [[0, 0, 401, 200]] * 2}, PHOTO, "outside the photo or has no area"),
        ({"boxes": [[5, 0, 5, 200]] * 2}, PHOTO, "outside the photo or has no area"),
        ({"boxes": PIXELS}, None, "boxes in pixels need the photo"),
        ({"labels": [1]}, PHOTO, "labels .1. are not a list of 2"),
        ({"labels": [1, -1]}, PHOTO, "label -1 is not from 0 to 32767"),
    ],
)
def test_invalid_regions_raise(values, photo, sentence):
    with pytest.raises(ValueError, match=sentence):
        precomputed_regions(row(**values), photo, 2, [])
