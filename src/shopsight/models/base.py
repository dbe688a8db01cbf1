"""Protocol of ranking models: encode each side once, then score any pairs of encodings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, Self, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from shopsight.batches.batch import Regions, Tokens

Queries = TypeVar("Queries", contravariant=True)
Products = TypeVar("Products", contravariant=True)


@dataclass(frozen=True, eq=False)
class Encodings:
    """Encodings of queries or products: tensors with one row for each.

    A second dimension that differs between two `Encodings` counts the tokens of queries.
    """

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by field name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def to(self, device: torch.device | str) -> Self:
        """Move every tensor to a device."""
        moved = {name: tensor.to(device) for name, tensor in self.tensors().items()}
        return replace(self, **moved)

    def take(self, idx: Tensor) -> Self:
        """The encodings at indices (n,)."""
        return replace(self, **{name: tensor[idx] for name, tensor in self.tensors().items()})

    def cut(self, length: int) -> Self:
        """The first ``length`` tokens of queries, all of whose tensors are (Q, T, ...)."""
        return replace(self, **{name: part[:, :length] for name, part in self.tensors().items()})

    def __len__(self) -> int:
        return len(next(iter(self.tensors().values())))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Concatenate encodings; tokens are padded on the right with zeros and False."""
        columns = zip(*(part.tensors().values() for part in parts), strict=True)
        return cls(*(torch.cat(_pad_to_longest(column)) for column in columns))


class RankingModel(Protocol[Queries, Products]):
    """A model that ranks, in eval mode and without gradients."""

    def encode_products(self, regions: Regions) -> Any:
        """Encodings of B products."""
        ...

    def encode_queries(self, tokens: Tokens) -> Any:
        """Encodings of B queries."""
        ...

    def score_pairs(
        self, queries: Queries, products: Products, query_idx: Tensor, product_idx: Tensor
    ) -> Tensor:
        """(N,) float32 scores of pairs of a query and a product, given by index (N,)."""
        ...


@dataclass(frozen=True, eq=False)
class WordAttribution:
    """Contribution of each of T words of a query to its scores with N products."""

    weights: Tensor
    """(N, T) weights of the words, which sum to 1 for each product."""
    matches: Tensor
    """(N, T) similarity of each word and the product."""
    by_region: Sequence[Tensor]
    """By product (T, R), the contribution of each region to the match; R is 0 if not known."""


class Explainable(Protocol[Queries, Products]):
    """A `RankingModel` whose scores are sums over words and regions."""

    def attribute(
        self, queries: Queries, products: Products, regions: Regions | None = None
    ) -> WordAttribution:
        """Attribute the scores of a single query with N products to words and known regions."""
        ...

    def region_weights(self, regions: Regions) -> Tensor:
        """(R,) weights of regions, which sum to 1 for each of their products."""
        ...


def _pad_to_longest(tensors: Sequence[Tensor]) -> list[Tensor]:
    if tensors[0].dim() < 2:
        return list(tensors)
    longest = max(tensor.shape[1] for tensor in tensors)
    return [
        functional.pad(tensor, (0, 0) * (tensor.dim() - 2) + (0, longest - tensor.shape[1]))
        for tensor in tensors
    ]
