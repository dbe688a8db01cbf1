"""Region proposals on photos with known objects."""

from __future__ import annotations

import numpy as np
import pytest

from shopsight.config import RegionsConfig
from shopsight.errors import UsageError
from shopsight.regions.propose import LABELS, downscale, iou, propose, rgb_to_lab, saliency
from shopsight.types import Photo

RED, BLUE = (200, 20, 30), (20, 40, 180)


def plain(height: int, width: int, colour: tuple[int, int, int] = (250, 250, 250)) -> Photo:
    return np.full((height, width, 3), colour, np.uint8)


def shaded(height: int, width: int) -> Photo:
    """Background with a vertical and a horizontal gradient."""
    down, across = np.linspace(0, 60, height)[:, None], np.linspace(0, 40, width)[None, :]
    return np.repeat((240 - down - across)[..., None], 3, axis=2).astype(np.uint8)


def boxes_of(photo: Photo, label: str) -> list[list[float]]:
    proposals = propose(photo, RegionsConfig(max_regions=12))
    return proposals.boxes[proposals.labels == LABELS.index(label)].tolist()


@pytest.mark.parametrize("side", [1, 2, 5])
@pytest.mark.parametrize("background", [plain, shaded])
def test_the_product_is_the_salient_box(side: int, background: object) -> None:
    photo = background(80 * side, 60 * side)  # type: ignore[operator]
    photo[20 * side : 60 * side, 15 * side : 45 * side] = RED
    (box,) = boxes_of(photo, "product")
    assert box == pytest.approx([20 * side, 15 * side, 60 * side, 45 * side], abs=2.5 * side)
    assert boxes_of(photo, "photo") == [[0, 0, 80 * side, 60 * side]]


def test_separate_objects_are_sorted_by_area() -> None:
    photo = plain(100, 100)
    photo[10:60, 10:50] = RED
    photo[60:90, 64:96] = BLUE
    assert boxes_of(photo, "product") == [[10, 10, 90, 96]]
    assert boxes_of(photo, "object") == [[10, 10, 60, 50], [60, 64, 90, 96]]


def test_parts_lie_within_the_product() -> None:
    photo = plain(100, 100)
    photo[20:80, 30:70] = RED
    top, bottom = boxes_of(photo, "top half")[0], boxes_of(photo, "bottom half")[0]
    assert top == pytest.approx([20, 30, 53, 70])
    assert bottom == pytest.approx([47, 30, 80, 70])
    assert boxes_of(photo, "middle third")[0] == pytest.approx([39.2, 30, 60.8, 70])
    assert boxes_of(photo, "centre")[0] == pytest.approx([35, 40, 65, 60])


@pytest.mark.parametrize(("parts", "count"), [("none", 2), ("halves", 7), ("thirds", 10)])
def test_parts_setting(parts: str, count: int) -> None:
    photo = plain(100, 100)
    photo[20:80, 30:70] = RED
    config = RegionsConfig(max_regions=20, parts=parts)  # type: ignore[arg-type]
    assert len(propose(photo, config).boxes) == count
    assert len(propose(photo, RegionsConfig(max_regions=1, parts=parts)).boxes) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (3, 2), (2000, 30), (96, 97), (700, 500)])
@pytest.mark.parametrize("kind", ["black", "noise"])
def test_any_photo_has_regions_inside_it(shape: tuple[int, int], kind: str) -> None:
    photo = plain(*shape, colour=(0, 0, 0))
    if kind == "noise":
        photo[:] = np.random.default_rng(0).integers(0, 256, photo.shape)
    proposals = propose(photo, RegionsConfig())
    again = propose(photo.copy(), RegionsConfig())
    np.testing.assert_array_equal(proposals.boxes, again.boxes)
    assert 1 <= len(proposals.boxes) == len(proposals.labels) <= 8
    assert proposals.boxes.dtype == np.float32
    assert (proposals.boxes >= 0).all()
    assert (proposals.boxes[:, 2:] <= shape).all()
    assert (proposals.boxes[:, :2] < proposals.boxes[:, 2:]).all()


def test_background_of_any_colour_is_not_salient() -> None:
    for photo in (plain(40, 40, (12, 90, 30)), shaded(40, 40)):
        assert saliency(photo).max() < 4


def test_rgb_to_lab_matches_reference_values() -> None:
    reference = {(255, 0, 0): (53.24, 80.09, 67.2), (0, 0, 255): (32.3, 79.19, -107.86)}
    for rgb, lab in reference.items():
        converted = rgb_to_lab(np.array([[rgb]], np.uint8))[0, 0]
        assert converted.tolist() == pytest.approx(lab, abs=0.6)


def test_downscaling_is_a_box_filter() -> None:
    rng = np.random.default_rng(1)
    photo = rng.integers(0, 256, (50, 35, 3)).astype(np.uint8)
    small = downscale(photo, 17)
    assert small.shape == (17, 12, 3)
    assert small[0, 0].tolist() == (photo[:3, :3].reshape(9, 3).sum(0) // 9).tolist()
    assert small[-1, -1].tolist() == (photo[48:, 33:].reshape(4, 3).sum(0) // 4).tolist()
    assert downscale(photo, 50) is photo


def test_iou_by_hand() -> None:
    assert iou((0, 0, 2, 2), (1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert iou((0, 0, 1, 1), (2, 2, 3, 3)) == 0
    assert iou((0, 0, 1, 1), (0, 0, 1, 1)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_regions": 0}, "max_regions must be at least 1"),
        ({"threshold": 2.0}, "threshold must be from 0 to 1"),
        ({"size": -1}, "size must be at least 0"),
    ],
)
def test_out_of_range_settings_are_rejected(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RegionsConfig(**wrong)  # type: ignore[arg-type]
