"""Preprocessing of region features: transform, standardise, reduce, dropout."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight.config import FeaturesConfig
from shopsight.errors import UsageError


class RegionFeatures(nn.Module):
    """Feature preprocessing, whose fitted statistics are saved with the model.

    One factor for all principal components (Pearson, 1901) makes their mean variance 1.

    Raises:
        UsageError: more components than features.
    """

    mean: Tensor
    std: Tensor
    basis: Tensor

    def __init__(self, width: int, config: FeaturesConfig) -> None:
        super().__init__()
        if config.components > width:
            raise UsageError(
                f"features.components = {config.components} exceeds the data's feature width"
                f" {width}"
            )
        self.config, self.out = config, config.components or width
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        if config.components:
            self.register_buffer("basis", torch.eye(width, config.components))

    @property
    def needs_fit(self) -> bool:
        """True if the features are standardised or reduced."""
        return self.config.standardise or self.config.components > 0

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """Fit mean, standard deviation and components to a sample of raw features (N, F)."""
        transformed = self._transform(features.to(self.mean))
        self.mean.copy_(transformed.mean(0))
        if self.config.standardise:
            # Not below 1e-3: a feature that is constant in the sample must not be blown up.
            self.std.copy_(transformed.std(0, correction=0) + 1e-3)
        if self.config.components:
            self.basis.copy_(_principal_axes((transformed - self.mean) / self.std, self.out))

    def forward(self, features: Tensor) -> Tensor:
        """(R, G) in the model's dtype from (R, F) in any."""
        outputs = self._transform(features.to(self.mean.dtype))
        if self.needs_fit:
            outputs = (outputs - self.mean) / self.std
        if self.config.components:
            outputs = outputs @ self.basis
        return functional.dropout(outputs, self.config.dropout, self.training)

    def _transform(self, features: Tensor) -> Tensor:
        match self.config.transform:
            case "sqrt":
                return features.clamp(min=0).sqrt()
            case "log":
                return features.clamp(min=0).log1p()
            case "l2":
                return functional.normalize(features, dim=1)
            case _:
                return features


def _principal_axes(centred: Tensor, count: int) -> Tensor:
    """(F, count) axes of largest variance of (N, F), largest first, divided by one factor."""
    centred = centred.double()
    # eigh sorts ascending: flip to take the largest.
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(centred))
    largest = variances.flip(0)[:count].clamp(min=0)
    axes: Tensor = directions.flip(1)[:, :count] / largest.mean().sqrt().clamp(min=1e-6)
    return axes
