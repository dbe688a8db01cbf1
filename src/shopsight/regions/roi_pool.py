"""Activations of a network, pooled over boxes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

POINTS = 7  # down and across each box


def pooled(maps: Tensor, boxes: Tensor) -> Tensor:
    """The mean of a map within each box, from 7 x 7 points that lie evenly in it.

    Args:
        maps: (B, C, h, w) activations.
        boxes: (B, n, 4) shares of the photo's sides: top, left, bottom, right.

    Returns:
        (B, n, C) means; at each point the four nearest cells count as they are near.

    >>> maps = torch.tensor([[[[0.0, 4.0]]]])
    >>> pooled(maps, torch.tensor([[[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.25]]])).tolist()
    [[[2.0], [0.0]]]
    """
    batch, count = boxes.shape[:2]
    steps = (torch.arange(POINTS, device=boxes.device, dtype=boxes.dtype) + 0.5) / POINTS
    down = boxes[..., 0:1] + (boxes[..., 2:3] - boxes[..., 0:1]) * steps  # (B, n, 7)
    across = boxes[..., 1:2] + (boxes[..., 3:4] - boxes[..., 1:2]) * steps
    points = torch.stack(
        [
            across[:, :, None, :].expand(-1, -1, POINTS, -1),
            down[:, :, :, None].expand(-1, -1, -1, POINTS),
        ],
        dim=-1,
    )
    places = points.reshape(batch, count * POINTS, POINTS, 2) * 2 - 1
    values = functional.grid_sample(maps, places, align_corners=False, padding_mode="border")
    return values.reshape(batch, -1, count, POINTS * POINTS).mean(3).transpose(1, 2)
