"""Packed rows of variable-length segments, and their padded form.

Packed, the R rows of B segments lie end to end, those of segment 0 first. Padded, they are a
(B, longest, ...) block. Masks are True at real rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Packing:
    """Layout of R packed rows in B segments, of which the ``longest`` has that many rows."""

    lengths: Tensor  # (B,) int64 rows of each segment
    segment_ids: Tensor  # (R,) int64 segment of each row
    position_ids: Tensor  # (R,) int64 index of each row within its segment
    longest: int

    @classmethod
    def of(cls, lengths: Tensor) -> Packing:
        """Derive the layout from segment lengths (B,).

        >>> packing = Packing.of(torch.tensor([2, 0, 3]))
        >>> packing.segment_ids.tolist(), packing.position_ids.tolist()
        ([0, 0, 2, 2, 2], [0, 1, 0, 1, 2])
        """
        device = lengths.device
        segment_ids = torch.repeat_interleave(torch.arange(len(lengths), device=device), lengths)
        starts = lengths.cumsum(0) - lengths
        position_ids = torch.arange(len(segment_ids), device=device) - starts[segment_ids]
        longest = int(lengths.max()) if len(lengths) else 0
        return cls(lengths, segment_ids, position_ids, longest)

    @property
    def mask(self) -> Tensor:
        """(B, longest) True at real rows of the padded block."""
        return torch.arange(self.longest, device=self.lengths.device) < self.lengths[:, None]

    @cached_property
    def runs(self) -> list[tuple[int, int]]:
        """Run-length encoding of the segment lengths: (segments, rows of each)."""
        sizes, counts = torch.unique_consecutive(self.lengths, return_counts=True)
        return list(zip(counts.tolist(), sizes.tolist(), strict=True))

    def rows_of(self, segments: Tensor) -> Tensor:
        """(r,) row indices of the given segments (b,), segment after segment."""
        starts = self.lengths.cumsum(0) - self.lengths
        taken = Packing.of(self.lengths[segments])
        return starts[segments][taken.segment_ids] + taken.position_ids

    def pad(self, rows: Tensor, fill: float = 0.0) -> Tensor:
        """(B, longest, ...) from packed (R, ...), with ``fill`` elsewhere."""
        shape = (len(self.lengths), self.longest, *rows.shape[1:])
        return rows.new_full(shape, fill).index_put((self.segment_ids, self.position_ids), rows)

    def unpad(self, padded: Tensor) -> Tensor:
        """(R, ...) real rows of (B, longest, ...)."""
        return padded[self.segment_ids, self.position_ids]

    def sum(self, rows: Tensor) -> Tensor:
        """(B, ...) sum over each segment of (R, ...)."""
        # index_add gives the same sums, but takes 70 times as long on a CPU.
        return torch.segment_reduce(rows, "sum", lengths=self.lengths)

    def mean(self, rows: Tensor) -> Tensor:
        """(B, D) mean over each segment of (R, D)."""
        return self.sum(rows) / self.lengths[:, None].to(rows.dtype)

    def softmax(self, rows: Tensor) -> Tensor:
        """(R, ...) softmax of (R, ...) over each segment."""
        # Padding with -inf, not with a large negative number: it must get exactly no weight.
        return self.unpad(self.pad(rows, -torch.inf).softmax(1))
