"""Region-of-interest pooling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from shopsight.regions.letterbox import Letterboxed
from shopsight.regions.propose import Proposals
from shopsight.types import PhotoRegions

POINTS = 7  # sampling points per side of a box


def roi_pool(maps: Tensor, boxes: Tensor) -> Tensor:
    """Average of a feature map over each box: RoIAlign (He et al., 2017) with one 7 x 7 bin.

    torchvision's `roi_align` would do, but torchvision is not a dependency.

    Boxes (B, n, 4) are fractions of the sides of the maps (B, C, h, w). Returns (B, n, C) means
    over 7 x 7 evenly spaced, bilinearly interpolated points.

    >>> maps = torch.tensor([[[[0.0, 4.0]]]])
    >>> roi_pool(maps, torch.tensor([[[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.25]]])).tolist()
    [[[2.0], [0.0]]]
    """
    batch, count = boxes.shape[:2]
    steps = (torch.arange(POINTS, device=boxes.device, dtype=boxes.dtype) + 0.5) / POINTS
    y = boxes[..., 0:1] + (boxes[..., 2:3] - boxes[..., 0:1]) * steps  # (B, n, 7)
    x = boxes[..., 1:2] + (boxes[..., 3:4] - boxes[..., 1:2]) * steps
    points = torch.stack(
        [
            x[:, :, None, :].expand(-1, -1, POINTS, -1),
            y[:, :, :, None].expand(-1, -1, -1, POINTS),
        ],
        dim=-1,
    )
    grid = points.reshape(batch, count * POINTS, POINTS, 2) * 2 - 1  # grid_sample's [-1, 1]
    values = functional.grid_sample(maps, grid, align_corners=False, padding_mode="border")
    return values.reshape(batch, -1, count, POINTS * POINTS).mean(3).transpose(1, 2)


def padded_boxes(proposals: Sequence[Proposals], letterboxed: Sequence[Letterboxed]) -> Tensor:
    """(B, n, 4) proposals in fractions of the canvas, zero-padded to the largest count n."""
    boxes = torch.zeros(len(proposals), max(len(photo.boxes) for photo in proposals), 4)
    for row, photo, canvas in zip(boxes, proposals, letterboxed, strict=True):
        row[: len(photo.boxes)] = torch.from_numpy(canvas.to_relative(photo.boxes))
    return boxes


def unpadded_regions(
    proposals: Sequence[Proposals], features: NDArray[np.float32]
) -> list[PhotoRegions]:
    """The regions of each photo from padded features (B, n, F)."""
    return [
        PhotoRegions(photo.boxes, row[: len(photo.boxes)].copy(), photo.labels)
        for photo, row in zip(proposals, features, strict=True)
    ]
