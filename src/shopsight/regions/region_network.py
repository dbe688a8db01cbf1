"""Small convolutional network that is trained from scratch on a catalogue's own photos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight.regions.backbone import Backbone
from shopsight.regions.starts import SCRATCH


class RegionNetwork(Backbone):
    """Residual network (He et al., 2016) of three stages, read out at two depths.

    Features concatenate the activations of the second stage (colours and patterns) and of a wide
    last layer (object classes). Each stage doubles the ``channels`` of the first.
    """

    kind = SCRATCH
    mean, std = (127.5,) * 3, (64.0,) * 3

    def __init__(self, canvas: Sequence[int], channels: int, width: int) -> None:
        super().__init__(canvas)
        self.channels, self.width = c, _ = channels, width
        self.stem = nn.Sequential(
            _convolution(3, c // 2, 2), nn.ReLU(), _convolution(c // 2, c, 2), nn.ReLU()
        )
        self.first = _Residual(c, c, 1)
        self.second = _Residual(c, 2 * c, 2)
        self.third = _Residual(2 * c, 4 * c, 2)
        self.last = nn.Sequential(_convolution(4 * c, width - 2 * c, 1, size=1), nn.ReLU())

    def maps(self, photos: Tensor) -> list[Tensor]:
        """Feature maps of normalised photos (B, 3, H, W) at strides 8 and 16."""
        middle = self.second(self.first(self.stem(photos)))
        return [middle, self.last(self.third(middle))]

    def settings(self) -> dict[str, Any]:
        """Keyword arguments of the constructor."""
        return {**super().settings(), "channels": self.channels, "width": self.width}


class _Residual(nn.Module):
    """Residual block of two 3 x 3 convolutions."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(in_channels, out_channels, stride)
        self.conv2 = _convolution(out_channels, out_channels, 1)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else _convolution(in_channels, out_channels, 1, 1)
        self.stride = stride
        # Zero-initialised last scale (Goyal et al., 2017): each block starts as the identity.
        nn.init.zeros_(self.conv2.get_parameter("1.weight"))

    def forward(self, inputs: Tensor) -> Tensor:
        residual = self.conv2(torch.relu(self.conv1(inputs)))
        if self.stride > 1:
            inputs = functional.avg_pool2d(inputs, self.stride, ceil_mode=True)
        return torch.relu(residual + self.shortcut(inputs))


def _convolution(in_channels: int, out_channels: int, stride: int, size: int = 3) -> nn.Sequential:
    layer = nn.Conv2d(in_channels, out_channels, size, stride, size // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(out_channels))
