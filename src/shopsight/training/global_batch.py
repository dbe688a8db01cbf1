"""The batch of all processes together, which is where queries and products compete."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from shopsight.batches.batch import PairBatch, Regions, Tokens
from shopsight.models.base import Encodings
from shopsight.training.distributed import DistributedContext, gather_ragged

ProductCodes = TypeVar("ProductCodes", bound=Encodings)


@dataclass(frozen=True, eq=False)
class GlobalBatch:
    """B clicked pairs of all processes, and their U distinct products.

    Attributes:
        batch: the pairs, with everything but what regions hold and the negative queries.
        chosen: (U,) where each product stands first among the gathered ones; None for one process,
            whose products are distinct already.
        world: the processes.
    """

    batch: PairBatch
    chosen: Tensor | None
    world: DistributedContext

    @classmethod
    def of(cls, batch: PairBatch, world: DistributedContext) -> GlobalBatch:
        """Gather everything but the regions; the same in every process."""
        if world.size == 1:
            return cls(batch, None, world)
        keys = gather_ragged(batch.product_keys, world)
        distinct, place = torch.unique(keys, return_inverse=True)
        numbers = torch.arange(len(keys), device=keys.device)
        chosen = torch.full_like(distinct, len(keys)).scatter_reduce(0, place, numbers, "amin")
        clicked = gather_ragged(batch.product_keys[batch.product_idx], world)
        words = batch.product_words
        lengths = gather_ragged(batch.regions.lengths, world)[chosen]
        whole = PairBatch(
            regions=_without_content(batch.regions, lengths),
            queries=_gather_tokens(batch.queries, world),
            product_idx=torch.searchsorted(distinct, clicked),
            query_keys=gather_ragged(batch.query_keys, world),
            product_keys=distinct,
            product_words=None if words is None else _taken(_gather_tokens(words, world), chosen),
        )
        return cls(whole, chosen, world)

    @property
    def product_idx(self) -> Tensor:
        """(B,) which of the U products each query was clicked with."""
        return self.batch.product_idx

    def products(self, own: ProductCodes) -> ProductCodes:
        """Encodings of the U products of the global batch, differentiable for the local ones."""
        if self.chosen is None:
            return own
        gathered = {
            name: gather_ragged(part, self.world)[self.chosen]
            for name, part in own.tensors().items()
        }
        return replace(own, **gathered)


def _without_content(regions: Regions, lengths: Tensor) -> Regions:
    return Regions(regions.features[:0], regions.boxes[:0], lengths, regions.through_trunk)


def _gather_tokens(tokens: Tokens, world: DistributedContext) -> Tokens:
    """All processes' queries, filled up to the longest of all."""
    own = torch.tensor([tokens.ids.shape[1]], device=tokens.ids.device)
    missing = int(gather_ragged(own, world).max()) - tokens.ids.shape[1]
    ids = gather_ragged(functional.pad(tokens.ids, (0, missing)), world)
    mask = gather_ragged(functional.pad(tokens.mask, (0, missing)), world)
    return Tokens(ids, mask)


def _taken(tokens: Tokens, rows: Tensor) -> Tokens:
    return Tokens(tokens.ids[rows], tokens.mask[rows])
