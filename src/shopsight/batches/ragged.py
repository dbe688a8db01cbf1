"""From ragged to rectangular and back: packed rows, padded blocks and the masks of both.

Packed rows are R rows that belong to B owners, those of owner 0 first. Masks are True where a
place is real.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Packing:
    """Where R packed rows belong among B owners.

    Attributes:
        lengths: (B,) int64 rows of each owner.
        segment_ids: (R,) int64 the owner of each row.
        position_ids: (R,) int64 the place of each row among those of its owner.
        longest: most rows of an owner.
    """

    lengths: Tensor
    segment_ids: Tensor
    position_ids: Tensor
    longest: int

    @classmethod
    def of(cls, lengths: Tensor) -> Packing:
        """From the number of rows of each owner."""
        owner = segment_ids(lengths)
        starts = lengths.cumsum(0) - lengths
        position = torch.arange(len(owner), device=lengths.device) - starts[owner]
        return cls(lengths, owner, position, int(lengths.max()) if len(lengths) else 0)

    @property
    def mask(self) -> Tensor:
        """(B, longest) True where a padded place is a row."""
        return torch.arange(self.longest, device=self.lengths.device) < self.lengths[:, None]

    @cached_property
    def runs(self) -> list[tuple[int, int]]:
        """Neighbouring owners with the same number of rows: how many owners, how many rows each."""
        sizes, counts = torch.unique_consecutive(self.lengths, return_counts=True)
        return list(zip(counts.tolist(), sizes.tolist(), strict=True))

    def pad(self, rows: Tensor, fill: float = 0.0) -> Tensor:
        """(B, longest, ...) from packed (R, ...); other places hold ``fill``."""
        shape = (len(self.lengths), self.longest, *rows.shape[1:])
        return rows.new_full(shape, fill).index_put((self.segment_ids, self.position_ids), rows)

    def unpad(self, padded: Tensor) -> Tensor:
        """(R, ...) the real places of (B, longest, ...)."""
        return padded[self.segment_ids, self.position_ids]

    def sum(self, rows: Tensor) -> Tensor:
        """(B, ...) sum of each owner's rows (R, ...)."""
        # index_add does the same and takes 70 times as long on a CPU
        return torch.segment_reduce(rows, "sum", lengths=self.lengths)

    def mean(self, rows: Tensor) -> Tensor:
        """(B, D) mean of each owner's rows (R, D)."""
        return self.sum(rows) / self.lengths[:, None].to(rows.dtype)

    def softmax(self, rows: Tensor) -> Tensor:
        """(R, ...) softmax of (R, ...) over the rows of each owner."""
        return self.unpad(self.pad(rows, -torch.inf).softmax(1))


def segment_ids(lengths: Tensor) -> Tensor:
    """(R,) the owner of each packed row, from the (B,) rows of each owner.

    >>> segment_ids(torch.tensor([2, 0, 3])).tolist()
    [0, 0, 2, 2, 2]
    """
    return torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)


def pad_packed(rows: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Packed rows as a block.

    Args:
        rows: (R, D).
        lengths: (B,) rows of each owner.

    Returns:
        (B, longest, D) with zeros where there is no row, and the (B, longest) mask.

    >>> block, mask = pad_packed(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([1, 2]))
    >>> block[:, :, 0].tolist(), mask.tolist()
    ([[1.0, 0.0], [2.0, 3.0]], [[True, False], [True, True]])
    """
    packing = Packing.of(lengths)
    return packing.pad(rows), packing.mask


def unpack(padded: Tensor, mask: Tensor) -> Tensor:
    """(R, ...) the real places of (B, longest, ...), row after row.

    >>> unpack(torch.tensor([[1, 0], [2, 3]]), torch.tensor([[True, False], [True, True]])).tolist()
    [1, 2, 3]
    """
    return padded[mask]


def pad_ids(rows: Sequence[Sequence[int]], fill: int) -> tuple[Tensor, Tensor]:
    """Ragged ids as a block of int64 and its mask; short rows are filled on the right.

    >>> ids, mask = pad_ids([[7], [8, 9]], fill=0)
    >>> ids.tolist(), mask.tolist()
    ([[7, 0], [8, 9]], [[True, False], [True, True]])
    """
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
    ids = np.full(mask.shape, fill, np.int64)
    ids[mask] = np.fromiter((i for row in rows for i in row), np.int64, int(lengths.sum()))
    return torch.from_numpy(ids), torch.from_numpy(mask)
