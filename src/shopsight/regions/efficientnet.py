"""EfficientNet-Lite0 (Tan and Le, 2019; without squeeze-and-excitation, with ReLU6).

Module names are those of the published weights, so that a state dict loads as it is.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

WIDTH = 1280
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


class EfficientNetLite(nn.Module):
    """The convolutional part of EfficientNet-Lite0: maps of ``WIDTH`` channels at stride 32."""

    def __init__(self) -> None:
        super().__init__()
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
        self._conv_head = _SameConv2d(outputs[-1], WIDTH, 1)
        self._bn1 = _batch_norm(WIDTH)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, WIDTH, h, w) activations in [0, 6] of normalised photos (B, 3, H, W)."""
        hidden = functional.relu6(self._bn0(self._conv_stem(pixels)))
        for block in self._blocks:
            hidden = block(hidden)
        return functional.relu6(self._bn1(self._conv_head(hidden)))


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
        return inputs + hidden if self._residual else hidden


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
