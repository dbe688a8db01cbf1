"""From the packed rows of each owner to one row."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shopsight.batches.ragged import Packing
from shopsight.scoring import at_least_float32


class Pooling(nn.Module):
    """One row for each owner.

    Args:
        width: D.
        how: "mean", "max", "first", or "attention": the mean with weights from a Linear, which
            is the plain mean at first.
    """

    def __init__(self, width: int, how: str) -> None:
        super().__init__()
        self.how = how
        self.weight_proj = nn.Linear(width, 1) if how == "attention" else None
        if self.weight_proj is not None:
            nn.init.zeros_(self.weight_proj.weight)

    def forward(self, rows: Tensor, packing: Packing) -> Tensor:
        """(B, D) from packed (R, D)."""
        rows = at_least_float32(rows)
        if self.how == "first":
            return rows[packing.position_ids == 0]
        if self.how == "max":
            return packing.pad(rows, -torch.inf).amax(1)
        if self.weight_proj is None:
            return packing.mean(rows)
        weights = packing.softmax(at_least_float32(self.weight_proj(rows)))  # (R, 1)
        return packing.sum(weights * rows)
