"""Views of a photo, and features that are means over them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shopsight.config import RegionsConfig
from shopsight.regions.network_extractor import _VIEWS, NetworkExtractor, _View
from shopsight.regions.region_network import RegionNetwork
from shopsight.regions.word_head import WordHead


@pytest.mark.parametrize("view", [*_VIEWS, _View(shift=0.2), _View(flip=True, shift=-0.2)])
def test_boxes_move_with_the_photo(view: _View) -> None:
    photo = torch.zeros(1, 1, 100, 100)
    photo[0, 0, 20:40, 10:30] = 1
    seen, boxes = view.apply(photo, torch.tensor([[[0.2, 0.1, 0.4, 0.3]]]))
    top, left, bottom, right = (100 * boxes[0, 0]).round().int().tolist()
    inside = seen[0, 0, top:bottom, left:right]
    assert inside.shape == (20, 20)
    assert inside.mean() > 0.95
    assert seen.sum().item() == pytest.approx(400, rel=0.01)


def test_learned_features_depend_less_on_the_side_that_a_product_faces() -> None:
    torch.manual_seed(0)
    backbone = RegionNetwork((32, 32), 8, 64)
    config = RegionsConfig(max_regions=1)
    photo = np.full((32, 32, 3), 250, np.uint8)
    photo[8:20, 4:12] = (200, 30, 30)
    photo[8:12, 12:24] = (30, 30, 200)
    differences = []
    for head in (None, WordHead(["a", "b"], [64])):
        extractor = NetworkExtractor("learned", [backbone], config, head=head)
        seen, flipped = (
            extractor.extract([view])[0].features for view in (photo, photo[:, ::-1].copy())
        )
        differences.append(np.abs(seen - flipped).max() / seen.max())
    assert differences[1] < differences[0] / 2
