"""Backbones: networks that turn photos into feature maps, from which regions are pooled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from shopsight.config import RegionsConfig
from shopsight.regions.roi_pool import roi_pool
from shopsight.weights import load_weights, save_weights

WEIGHTS = "weights.safetensors"


class Backbone(nn.Module):
    """A network whose feature maps become region features; one subclass for each architecture.

    Attributes:
        kind: its name in saved settings.
        bf16_on_cpu: bf16 is faster than float32 on processors that compute with it.
        canvas: height and width of its input in pixels; photos are letterboxed.
        width: feature dimension F, a multiple of 16.
        mean, std: input normalisation of each channel, for values from 0 to 255.
    """

    kind: ClassVar[str]
    bf16_on_cpu: ClassVar[bool] = True
    width: int
    mean: Sequence[float]
    std: Sequence[float]

    def __init__(self, canvas: Sequence[int]) -> None:
        super().__init__()
        height, width = canvas
        self.canvas = (height, width)

    def maps(self, photos: Tensor) -> list[Tensor]:
        """Feature maps (B, C, h, w) of normalised photos (B, 3, H, W), at one or more strides."""
        raise NotImplementedError

    def features(self, pooled: Tensor) -> Tensor:
        """Non-negative features (..., F) of pooled activations (..., C)."""
        return pooled

    def settings(self) -> dict[str, Any]:
        """Keyword arguments of the constructor."""
        return {"canvas": list(self.canvas)}

    def save(self, folder: Path) -> None:
        """Write the weights."""
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(folder / WEIGHTS, self, {})

    @classmethod
    def load(cls, folder: Path, settings: dict[str, Any]) -> Self:
        """The network that `save` wrote. Raises DataError for missing or damaged weights."""
        network = cls(**settings)
        load_weights(folder / WEIGHTS, network)
        return network

    def normalise(self, pixels: Tensor) -> Tensor:
        """Photos (B, H, W, 3) uint8 as the input of `maps`."""
        return normalise(pixels, self.mean, self.std)

    def whole(self, maps: Sequence[Tensor]) -> Tensor:
        """(B, F) features of whole photos."""
        return self.features(torch.cat([map_.float().mean((2, 3)) for map_ in maps], dim=1))

    def regions(self, maps: Sequence[Tensor], boxes: Tensor) -> Tensor:
        """(B, n, F) features of boxes (B, n, 4), fractions of the canvas."""
        return self.features(torch.cat([roi_pool(map_.float(), boxes) for map_ in maps], dim=2))


def normalise(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Photos (B, H, W, 3) uint8 as (B, 3, H, W) floats around 0, in channels-last memory."""
    offset, scale = (torch.tensor(part, device=pixels.device) for part in (mean, std))
    values = ((pixels.float() - offset) / scale).permute(0, 3, 1, 2)
    return values.contiguous(memory_format=torch.channels_last)


@contextmanager
def autocast(config: RegionsConfig, device: torch.device) -> Iterator[None]:
    """Inference mode with autocast at the configured precision."""
    half = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
        yield
