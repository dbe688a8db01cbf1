"""What models are fed with: packed regions, padded tokens, and a batch of clicked pairs.

B rows, R regions in all, T tokens of the longest query, F numbers per region feature, U distinct
products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from shopsight.batches.ragged import Packing, pad_ids
from shopsight.data.region_store import RegionBatch


class _Moves:
    """Dataclasses of tensors that go to a device together."""

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Self:
        """The same with every tensor on a device; from pinned memory without waiting."""
        moved = {
            field.name: value.to(device, non_blocking=non_blocking)
            for field in fields(self)  # type: ignore[arg-type]
            if isinstance(value := getattr(self, field.name), Tensor | _Moves)
        }
        return replace(self, **moved)  # type: ignore[type-var]


@dataclass(frozen=True, eq=False)
class Regions(_Moves):
    """The regions of B products, packed: those of product 0, then those of product 1, ...

    Attributes:
        features: (R, F) any float dtype; trunk outputs where ``through_trunk``.
        boxes: (R, 5) float in [0, 1]: top, left, bottom, right, area.
        lengths: (B,) int64 regions of each product, at least 1.
        through_trunk: the features are what the encoder's trunk gave for these regions, so that
            only the rest of the encoder is left to do.
    """

    features: Tensor
    boxes: Tensor
    lengths: Tensor
    through_trunk: bool = False

    @cached_property
    def packing(self) -> Packing:
        """Where each region belongs; computed once."""
        return Packing.of(self.lengths)

    def rows_of(self, products: Tensor) -> Tensor:
        """(r,) the rows of the regions of (b,) products, product after product."""
        starts = self.lengths.cumsum(0) - self.lengths
        taken = Packing.of(self.lengths[products])
        return starts[products][taken.segment_ids] + taken.position_ids

    def take(self, products: Tensor) -> Regions:
        """The regions of (b,) products, in their order; one may be asked for twice."""
        rows = self.rows_of(products)
        lengths = self.lengths[products]
        return replace(self, features=self.features[rows], boxes=self.boxes[rows], lengths=lengths)

    def __len__(self) -> int:
        return len(self.lengths)


@dataclass(frozen=True, eq=False)
class Tokens(_Moves):
    """Queries as rows of token ids, filled up on the right.

    Attributes:
        ids: (B, T) int64.
        mask: (B, T) bool, True where a token is real; every row has one, the first.
    """

    ids: Tensor
    mask: Tensor

    @cached_property
    def lengths(self) -> Tensor:
        """(B,) tokens of each query."""
        return self.mask.sum(1)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class PairBatch(_Moves):
    """B clicked pairs with their negatives; every product of the batch stands here once.

    Attributes:
        regions: of the U distinct products.
        queries: the B clicked queries.
        product_idx: (B,) int64, which of the U products was clicked.
        query_keys: (B,) int64, equal where two queries are the same.
        product_keys: (U,) int64, a product's number in its catalogue.
        negative_queries: B queries that the clicked products do not go with.
        negative_product_idx: (B,) int64, which of the U products does not go with the query.
        product_words: U rows, every word of the queries that the product was clicked for.
    """

    regions: Regions
    queries: Tokens
    product_idx: Tensor
    query_keys: Tensor
    product_keys: Tensor
    negative_queries: Tokens | None = None
    negative_product_idx: Tensor | None = None
    product_words: Tokens | None = None

    def __len__(self) -> int:
        return len(self.queries)


def pad_tokens(rows: Sequence[Sequence[int]], pad: int) -> Tokens:
    """Queries of one token id or more as a block.

    >>> pad_tokens([[7], [8, 9]], pad=0).lengths.tolist()
    [1, 2]
    """
    return Tokens(*pad_ids(rows, pad))


def as_regions(batch: RegionBatch, through_trunk: bool = False) -> Regions:
    """What a region store read, as tensors that share its memory."""
    return Regions(
        torch.from_numpy(batch.features),
        torch.from_numpy(batch.boxes),
        torch.from_numpy(batch.lengths),
        through_trunk,
    )
