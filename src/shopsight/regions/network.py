"""The small convolutional network that learns from a catalogue's own photos."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight.regions.roi_pool import pooled


class RegionNetwork(nn.Module):
    """A residual network (He et al., 2016) of three stages, seen at two depths.

    A region's features are the activations of the second stage, which know colours and patterns,
    and of a wide last layer, which knows things; none is below 0.

    Args:
        channels: of the first stage; each of the next has twice as many.
        width: numbers per region.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        c = channels
        self.stem = nn.Sequential(
            _convolution(3, c // 2, 2), nn.ReLU(), _convolution(c // 2, c, 2), nn.ReLU()
        )
        self.first = Residual(c, c, 1)
        self.second = Residual(c, 2 * c, 2)
        self.third = Residual(2 * c, 4 * c, 2)
        self.last = nn.Sequential(_convolution(4 * c, width - 2 * c, 1, size=1), nn.ReLU())

    def maps(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Activations at both depths of photos (B, 3, H, W), an eighth and a sixteenth as large."""
        middle = self.second(self.first(self.stem(pixels)))
        return middle, self.last(self.third(middle))

    def whole(self, pixels: Tensor) -> Tensor:
        """(B, F) the features of whole photos."""
        return torch.cat([one.float().mean((2, 3)) for one in self.maps(pixels)], dim=1)

    def regions(self, pixels: Tensor, boxes: Tensor) -> Tensor:
        """(B, n, F) the features of boxes (B, n, 4), given as shares of the sides."""
        return torch.cat([pooled(one.float(), boxes) for one in self.maps(pixels)], dim=2)


class Residual(nn.Module):
    """Two convolutions, added to what came in."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.one = _convolution(before, after, stride)
        self.two = _convolution(after, after, 1)
        self.past = nn.Identity() if before == after else _convolution(before, after, 1, size=1)
        self.stride = stride
        nn.init.zeros_(self.two.get_parameter("1.weight"))  # at first it passes on what it gets

    def forward(self, seen: Tensor) -> Tensor:
        """(B, C, h, w) activations, none below 0."""
        added = self.two(torch.relu(self.one(seen)))
        if self.stride > 1:
            seen = functional.avg_pool2d(seen, self.stride, ceil_mode=True)
        return torch.relu(added + self.past(seen))


def normalised(pixels: Tensor) -> Tensor:
    """Photos (B, H, W, 3) of bytes as (B, 3, H, W) floats about 0, channels last in memory."""
    values = (pixels.permute(0, 3, 1, 2).float() - 127.5) / 64
    return values.contiguous(memory_format=torch.channels_last)


def _convolution(before: int, after: int, stride: int, size: int = 3) -> nn.Sequential:
    layer = nn.Conv2d(before, after, size, stride, size // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(after))
