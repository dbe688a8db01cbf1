"""Pooling of packed rows to one row per segment."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shopsight.batches.ragged import Packing
from shopsight.scoring import at_least_float32


class Pooling(nn.Module):
    """Pool each segment to one row: "mean", "max", "first", or "attention" by a Linear."""

    def __init__(self, width: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.weight_proj = nn.Linear(width, 1) if kind == "attention" else None
        if self.weight_proj is not None:
            nn.init.zeros_(self.weight_proj.weight)  # training starts from the plain mean

    def forward(self, rows: Tensor, packing: Packing) -> Tensor:
        """(B, D) from packed (R, D)."""
        rows = at_least_float32(rows)
        if self.kind == "first":
            return rows[packing.position_ids == 0]
        if self.kind == "max":
            return packing.pad(rows, -torch.inf).amax(1)
        if self.weight_proj is None:
            return packing.mean(rows)
        weights = packing.softmax(at_least_float32(self.weight_proj(rows)))  # (R, 1)
        return packing.sum(weights * rows)
