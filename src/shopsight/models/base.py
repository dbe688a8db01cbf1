"""What every model that ranks can do: encode each side once, then score any pairs of codes."""

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
    """Encodings of queries or of products: tensors whose first dimension counts them.

    A second dimension that differs between parts counts the tokens of a query.
    """

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def to(self, device: torch.device | str) -> Self:
        """The same on a device."""
        return replace(self, **{name: one.to(device) for name, one in self.tensors().items()})

    def take(self, at: Tensor) -> Self:
        """The codes at (n,) places."""
        return replace(self, **{name: one[at] for name, one in self.tensors().items()})

    def __len__(self) -> int:
        return len(next(iter(self.tensors().values())))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Encodings one after the other; tokens are filled up on the right with zeros and False."""
        columns = zip(*(part.tensors().values() for part in parts), strict=True)
        return cls(*(torch.cat(_as_wide(column)) for column in columns))


class RankingModel(Protocol[Queries, Products]):
    """A model that ranks; call it in eval mode and without gradients."""

    def encode_products(self, regions: Regions) -> Any:
        """Encodings of B products."""
        ...

    def encode_queries(self, tokens: Tokens) -> Any:
        """Encodings of B queries."""
        ...

    def score_pairs(
        self, queries: Queries, products: Products, query_idx: Tensor, product_idx: Tensor
    ) -> Tensor:
        """(N,) float32 scores, higher is better, of N pairs.

        Args:
            queries: codes of Q queries.
            products: codes of P products.
            query_idx: (N,) which query.
            product_idx: (N,) which product.
        """
        ...


def _as_wide(column: Sequence[Tensor]) -> list[Tensor]:
    if column[0].dim() < 2:
        return list(column)
    widest = max(one.shape[1] for one in column)
    return [
        functional.pad(one, (0, 0) * (one.dim() - 2) + (0, widest - one.shape[1])) for one in column
    ]
