"""Region features as a model reads them: transformed, standardised, reduced, thinned out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight.config import FeaturesConfig
from shopsight.errors import UsageError


class RegionFeatures(nn.Module):
    """What happens to region features first; what was measured is saved with the model.

    Principal components (Pearson, 1901) come scaled by one factor for all, so that their mean
    variance over the sample is 1: large ones stay larger than small ones.

    Args:
        width: F, numbers per feature.
        config: which transform, whether to standardise, how many components, how much dropout.

    Attributes:
        out: G, numbers per feature that the model sees.

    Raises:
        UsageError: there are fewer features than components asked for.
    """

    mean: Tensor
    deviation: Tensor
    basis: Tensor

    def __init__(self, width: int, config: FeaturesConfig) -> None:
        super().__init__()
        if config.components > width:
            raise UsageError(
                f"features.components = {config.components} are more than the data's feature width"
                f" {width}"
            )
        self.config, self.out = config, config.components or width
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        if config.components:
            self.register_buffer("basis", torch.eye(width, config.components))

    @property
    def needs_fit(self) -> bool:
        """Whether `measure` is needed."""
        return self.config.standardise or self.config.components > 0

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """Take mean, deviation and components from a sample (N, F) of raw features."""
        changed = self._transformed(features.to(self.mean))
        self.mean.copy_(changed.mean(0))
        if self.config.standardise:
            self.deviation.copy_(changed.std(0, correction=0) + 1e-3)
        if self.config.components:
            self.basis.copy_(_basis((changed - self.mean) / self.deviation, self.out))

    def forward(self, features: Tensor) -> Tensor:
        """(R, G) in the model's number format from (R, F) in any."""
        changed = self._transformed(features.to(self.mean.dtype))
        if self.needs_fit:
            changed = (changed - self.mean) / self.deviation
        if self.config.components:
            changed = changed @ self.basis
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


def _basis(centred: Tensor, count: int) -> Tensor:
    """(F, count) from (N, F): the directions of largest variance, largest first, scaled alike."""
    centred = centred.double()
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(centred))
    largest = variances.flip(0)[:count].clamp(min=0)
    basis: Tensor = directions.flip(1)[:, :count] / largest.mean().sqrt().clamp(min=1e-6)
    return basis
