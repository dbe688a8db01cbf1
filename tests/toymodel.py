"""A model from outside the package, whole: settings, encodings, network, task and registration.

A query is the mean of its word vectors, a product the mean of its projected regions, and their
dot product is the score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from shopsight import losses
from shopsight.batches.batch import PairBatch, Regions, Tokens
from shopsight.batches.false_negatives import positive_mask
from shopsight.config.model import ModelConfig
from shopsight.models.base import Encodings, WordAttribution
from shopsight.models.registry import ModelInputs, ModelSpec
from shopsight.training.distributed import gather_rows
from shopsight.training.global_batch import GlobalBatch
from shopsight.training.tasks.base import Task


@dataclass(frozen=True)
class ToyConfig(ModelConfig):
    width: int = 4

    @property
    def depends_on(self) -> tuple[str, ...]:
        return ("seed",)


@dataclass(frozen=True, eq=False)
class ToyQueries(Encodings):
    words: Tensor  # (Q, T, D)
    mask: Tensor  # (Q, T)

    @property
    def vectors(self) -> Tensor:
        real = self.mask[..., None]
        return (self.words * real).sum(1) / real.sum(1)


@dataclass(frozen=True, eq=False)
class ToyProducts(Encodings):
    vectors: Tensor  # (P, D)


class ToyModel(nn.Module):
    def __init__(self, vocabulary_size: int, feature_width: int, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary_size, width)
        self.regions = nn.Linear(feature_width, width)

    @classmethod
    def build(cls, config: ToyConfig, inputs: ModelInputs) -> Self:
        return cls(inputs.vocabulary.size, inputs.feature_width, config.width)

    def encode_queries(self, tokens: Tokens) -> ToyQueries:
        return ToyQueries(self.words(tokens.ids), tokens.mask)

    def encode_products(self, regions: Regions) -> ToyProducts:
        return ToyProducts(regions.packing.mean(self._project(regions)))

    def score_pairs(
        self, queries: ToyQueries, products: ToyProducts, query_idx: Tensor, product_idx: Tensor
    ) -> Tensor:
        return (queries.vectors[query_idx] * products.vectors[product_idx]).sum(1)

    def attribute(
        self, queries: ToyQueries, products: ToyProducts, regions: Regions | None = None
    ) -> WordAttribution:
        words = queries.words[0]
        matches = products.vectors @ words.T  # (N, T)
        weights = torch.full_like(matches, 1 / len(words))
        by_region = [weights.new_zeros(len(words), 0)] * len(products)
        if regions is not None:
            parts = torch.split(self._project(regions), regions.lengths.tolist())
            by_region = [words @ part.T / len(part) for part in parts]
        return WordAttribution(weights, matches, by_region)

    def region_weights(self, regions: Regions) -> Tensor:
        return torch.repeat_interleave(1 / regions.lengths, regions.lengths)

    def _project(self, regions: Regions) -> Tensor:
        projected: Tensor = self.regions(regions.features.float())
        return projected


class ToyTask(Task):
    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        together = GlobalBatch.of(batch, self.context)
        queries = self.model.encode_queries(batch.queries).vectors
        products = together.products(self.model.encode_products(batch.regions)).vectors
        scores = gather_rows(queries @ products.T, self.context)
        positive = positive_mask(together.batch, "duplicates", self.special_ids)
        return {"softmax": losses.info_nce(scores, together.product_idx, positive, 1.0)}


def toy_spec(**changes: Any) -> ModelSpec:
    parts = {
        "name": "toy",
        "config": ToyConfig,
        "network": ToyModel,
        "task": ToyTask,
        "encodings": ToyProducts,
        "description": "a bag of words against the mean region",
        "explains": True,
    }
    return ModelSpec(**{**parts, **changes})
