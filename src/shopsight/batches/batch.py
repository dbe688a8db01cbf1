"""Model inputs: packed regions, padded tokens, and batches of clicked pairs.

B rows, R regions in all, T tokens of the longest query, F feature dimension, U distinct products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from shopsight.batches.ragged import Packing
from shopsight.data.region_store import RegionBatch
from shopsight.types import IntArray


class _ToDevice:
    """Base of dataclasses whose tensors move to a device together."""

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Self:
        """Move every tensor; without waiting where the memory is pinned."""
        moved = {
            field.name: value.to(device, non_blocking=non_blocking)
            for field in fields(self)  # type: ignore[arg-type]
            if isinstance(value := getattr(self, field.name), Tensor | _ToDevice)
        }
        return replace(self, **moved)  # type: ignore[type-var]


@dataclass(frozen=True, eq=False)
class Regions(_ToDevice):
    """Regions of B products, packed in product order, each with at least one."""

    features: Tensor  # (R, F) any float dtype; outputs of the trunk if ``through_trunk``
    boxes: Tensor  # (R, 5) float in [0, 1]: top, left, bottom, right, area
    lengths: Tensor  # (B,) int64 regions of each product
    through_trunk: bool = False

    @cached_property
    def packing(self) -> Packing:
        """Layout of the regions by product."""
        return Packing.of(self.lengths)

    def take(self, products: Tensor) -> Regions:
        """Regions of the products (b,) in that order; repeats are allowed."""
        rows = self.packing.rows_of(products)
        lengths = self.lengths[products]
        return replace(self, features=self.features[rows], boxes=self.boxes[rows], lengths=lengths)

    def __len__(self) -> int:
        return len(self.lengths)


@dataclass(frozen=True, eq=False)
class Tokens(_ToDevice):
    """(B, T) int64 token ids of queries, padded on the right, and the mask of real tokens.

    Each row has at least one real token, the first.
    """

    ids: Tensor
    mask: Tensor

    @cached_property
    def lengths(self) -> Tensor:
        """(B,) tokens of each query."""
        return self.mask.sum(1)

    def take(self, queries: Tensor) -> Tokens:
        """The queries (b,) in that order."""
        return Tokens(self.ids[queries], self.mask[queries])

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class PairBatch(_ToDevice):
    """B clicked pairs with their negatives, and U distinct products."""

    regions: Regions
    queries: Tokens
    product_idx: Tensor  # (B,) int64 clicked product among the U
    query_keys: Tensor  # (B,) int64, equal for equal queries
    product_keys: Tensor  # (U,) int64 catalogue index
    negative_queries: Tokens | None = None  # for which the clicked products are negatives
    negative_product_idx: Tensor | None = None  # (B,) int64 negative products among the U
    product_words: Tokens | None = None  # all words of the queries each product was clicked for

    def __len__(self) -> int:
        return len(self.queries)


@dataclass(frozen=True, eq=False)
class CandidateBatch(_ToDevice):
    """B queries with C candidates each, and U distinct products."""

    regions: Regions
    queries: Tokens
    candidate_idx: Tensor  # (B, C) int64 among the U; anything at padding
    mask: Tensor  # (B, C) True at real candidates
    clicked: Tensor  # (B, C) bool
    teacher: Tensor  # (B, C) float32 z-scores
    product_words: Tokens  # all words of the queries that each of the U was clicked for

    def __len__(self) -> int:
        return len(self.queries)


def pad_tokens(rows: Sequence[Sequence[int]], pad: int) -> Tokens:
    """Pad queries of token ids on the right.

    >>> tokens = pad_tokens([[7], [8, 9]], pad=0)
    >>> tokens.ids.tolist(), tokens.mask.tolist()
    ([[7, 0], [8, 9]], [[True, False], [True, True]])
    """
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    ids = np.fromiter((i for row in rows for i in row), np.int64, int(lengths.sum()))
    return pad_packed_tokens(ids, lengths, pad)


def pad_packed_tokens(packed: IntArray, lengths: IntArray, pad: int) -> Tokens:
    """Pad packed token ids (n,) of rows with the given lengths (B,)."""
    mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
    ids = np.full(mask.shape, pad, np.int64)
    ids[mask] = packed
    return Tokens(torch.from_numpy(ids), torch.from_numpy(mask))


def as_regions(batch: RegionBatch, through_trunk: bool = False) -> Regions:
    """Wrap what a region store read as tensors, which share its memory."""
    return Regions(
        torch.from_numpy(batch.features),
        torch.from_numpy(batch.boxes),
        torch.from_numpy(batch.lengths),
        through_trunk,
    )
