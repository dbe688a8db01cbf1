"""Region features as a model reads them: transformed, standardised, thinned out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight.config import FeaturesConfig


class RegionFeatures(nn.Module):
    """What happens to region features first; what was measured is saved with the model.

    Args:
        width: F, numbers per feature.
        config: which transform, whether to standardise, how much dropout.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int, config: FeaturesConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    @torch.no_grad()
    def measure(self, features: Tensor) -> None:
        """Take mean and deviation from a sample (N, F) of raw features; needed to standardise."""
        changed = self._transformed(features.to(self.mean))
        self.mean.copy_(changed.mean(0))
        self.deviation.copy_(changed.std(0, correction=0) + 1e-3)

    def forward(self, features: Tensor) -> Tensor:
        """(R, F) in the model's number format from (R, F) in any."""
        changed = self._transformed(features.to(self.mean.dtype))
        if self.config.standardise:
            changed = (changed - self.mean) / self.deviation
        return functional.dropout(changed, self.config.dropout, self.training)

    def _transformed(self, features: Tensor) -> Tensor:
        match self.config.transform:
            case "sqrt":
                return features.clamp(min=0).sqrt()
            case "log":
                return features.clamp(min=0).log1p()
            case "l2":
                return functional.normalize(features, dim=1)
            case _:
                return features
