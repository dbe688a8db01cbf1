"""Small convolutional network trained on a catalogue's own photos."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight.regions.roi_pool import roi_pool


class RegionNetwork(nn.Module):
    """Residual network (He et al., 2016) of three stages, read out at two depths.

    Region features concatenate the activations of the second stage (colours and patterns) and of
    a wide last layer (object classes); all are non-negative.

    Args:
        channels: channels of the first stage; each later stage doubles them.
        width: feature dimension F.
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
        """Feature maps of photos (B, 3, H, W) at strides 8 and 16."""
        middle = self.second(self.first(self.stem(pixels)))
        return middle, self.last(self.third(middle))

    def whole(self, pixels: Tensor) -> Tensor:
        """(B, F) features of whole photos."""
        return torch.cat([map_.float().mean((2, 3)) for map_ in self.maps(pixels)], dim=1)

    def regions(self, pixels: Tensor, boxes: Tensor) -> Tensor:
        """(B, n, F) features of relative boxes (B, n, 4)."""
        return torch.cat([roi_pool(map_.float(), boxes) for map_ in self.maps(pixels)], dim=2)


class Residual(nn.Module):
    """Residual block of two 3 x 3 convolutions."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(in_channels, out_channels, stride)
        self.conv2 = _convolution(out_channels, out_channels, 1)
        self.shortcut = (
            nn.Identity()
            if in_channels == out_channels
            else _convolution(in_channels, out_channels, 1, size=1)
        )
        self.stride = stride
        # Zero-initialised last scale (Goyal et al., 2017): each block starts as the identity.
        nn.init.zeros_(self.conv2.get_parameter("1.weight"))

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, C, h, w) non-negative activations to (B, C', h', w') non-negative activations."""
        residual = self.conv2(torch.relu(self.conv1(inputs)))
        if self.stride > 1:
            inputs = functional.avg_pool2d(inputs, self.stride, ceil_mode=True)
        return torch.relu(residual + self.shortcut(inputs))


def normalise_pixels(pixels: Tensor) -> Tensor:
    """Photos (B, H, W, 3) uint8 as (B, 3, H, W) floats around 0, in channels-last memory."""
    values = (pixels.permute(0, 3, 1, 2).float() - 127.5) / 64
    return values.contiguous(memory_format=torch.channels_last)


def _convolution(in_channels: int, out_channels: int, stride: int, size: int = 3) -> nn.Sequential:
    layer = nn.Conv2d(in_channels, out_channels, size, stride, size // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(out_channels))
