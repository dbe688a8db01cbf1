"""All-gather the local batches into the global batch, in which queries and products compete."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from shopsight.batches.batch import PairBatch, Regions, Tokens
from shopsight.models.base import Encodings
from shopsight.training.distributed import DistributedContext, gather_ragged

ProductEncodings = TypeVar("ProductEncodings", bound=Encodings)


@dataclass(frozen=True, eq=False)
class GlobalBatch:
    """B clicked pairs of all processes, without their regions, and their U distinct products.

    ``first`` (U,) is the first occurrence of each product among the gathered ones; None for one
    process, whose products are distinct already.
    """

    batch: PairBatch
    first: Tensor | None
    context: DistributedContext

    @classmethod
    def of(cls, batch: PairBatch, context: DistributedContext) -> GlobalBatch:
        """Gather everything but the regions; the result is the same in every process."""
        if context.size == 1:
            return cls(batch, None, context)
        keys = gather_ragged(batch.product_keys, context)
        distinct, position = torch.unique(keys, return_inverse=True)
        # The same product may be in several slices: keep its first row, in all processes alike.
        rows = torch.arange(len(keys), device=keys.device)
        first = torch.full_like(distinct, len(keys)).scatter_reduce(0, position, rows, "amin")
        clicked = gather_ragged(batch.product_keys[batch.product_idx], context)
        words, regions = batch.product_words, batch.regions
        gathered = PairBatch(
            # Only the lengths are needed: the regions are encoded where they are.
            regions=Regions(
                regions.features[:0],
                regions.boxes[:0],
                gather_ragged(regions.lengths, context)[first],
                regions.through_trunk,
            ),
            queries=_gather_tokens(batch.queries, context),
            product_idx=torch.searchsorted(distinct, clicked),
            query_keys=gather_ragged(batch.query_keys, context),
            product_keys=distinct,
            product_words=words and _gather_tokens(words, context).take(first),
        )
        return cls(gathered, first, context)

    @property
    def product_idx(self) -> Tensor:
        """(B,) index among the U products of the clicked product of each query."""
        return self.batch.product_idx

    def products(self, local: ProductEncodings) -> ProductEncodings:
        """Encodings of the U products of the global batch, differentiable for the local ones."""
        if self.first is None:
            return local
        gathered = {
            name: gather_ragged(tensor, self.context)[self.first]
            for name, tensor in local.tensors().items()
        }
        return replace(local, **gathered)


def _gather_tokens(tokens: Tokens, context: DistributedContext) -> Tokens:
    """Queries of all processes, padded to the longest of them."""
    width = torch.tensor([tokens.ids.shape[1]], device=tokens.ids.device)
    missing = int(gather_ragged(width, context).max()) - tokens.ids.shape[1]
    ids = gather_ragged(functional.pad(tokens.ids, (0, missing)), context)
    mask = gather_ragged(functional.pad(tokens.mask, (0, missing)), context)
    return Tokens(ids, mask)
