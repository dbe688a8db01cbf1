"""Dual encoder: one vector per query and product, compared by cosine (docs/method.md, section 9).

As its vectors are compared without a network, it also retrieves candidates. Several towers, each a
dual encoder with its own loss, form an ensemble (Lakshminarayanan et al., "Deep Ensembles", 2017)
with one longer vector per side: the cosine of the concatenated vectors is the mean of the towers'
cosines.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from shopsight import scoring
from shopsight.batches.batch import Regions, Tokens
from shopsight.batches.ragged import Packing
from shopsight.config import DualConfig, StudentConfig
from shopsight.errors import UsageError
from shopsight.models.attention import PackedLayer, encode_by_length
from shopsight.models.base import Encodings
from shopsight.models.gru import BiGRU
from shopsight.models.pooling import Pooling
from shopsight.models.region_features import RegionFeatures
from shopsight.models.registry import ModelInputs
from shopsight.models.word_vectors import WordVectors

_BOX_HIDDEN = 64
_POSITIONS = 64


@dataclass(frozen=True, eq=False)
class DualEncodings(Encodings):
    """Queries or products: (B, towers * D) vectors of length 1."""

    vectors: Tensor


class PoolingHead(nn.Module):
    """Packed rows of a segment to its vector: norm, pooling, dropout, Linear."""

    def __init__(self, width: int, pooling: str, config: DualConfig) -> None:
        super().__init__()
        self.norm, self.pool = nn.LayerNorm(width), Pooling(width, pooling)
        self.dropout, self.out = nn.Dropout(config.dropout), nn.Linear(width, config.out)

    def forward(self, rows: Tensor, packing: Packing) -> Tensor:
        """(B, D) from packed (R, width)."""
        return self.out(self.dropout(self.pool(self.norm(rows), packing)))  # type: ignore[no-any-return]


class ImageTower(nn.Module):
    """Products to vectors.

    Raises:
        UsageError: the heads do not divide the feature dimension, which ``config.direct`` needs.
    """

    def __init__(self, feature_width: int, config: DualConfig) -> None:
        super().__init__()
        self.features = RegionFeatures(feature_width, config.features)
        width = self.features.out if config.direct else config.width
        if width % config.heads:
            raise UsageError(
                f"the data's feature width {width} cannot be divided among dual.heads = "
                f"{config.heads}, as dual.direct requires"
            )
        self.input_proj = nn.Identity() if config.direct else nn.Linear(self.features.out, width)
        self.box_mlp = _box_mlp(width) if config.boxes else None
        self.mean_region = nn.Parameter(torch.zeros(width)) if config.mean_region else None
        self.layers = _layers(config.image_layers, width, config)
        self.output_proj = PoolingHead(width, config.image_pool, config)

    def forward(self, regions: Regions) -> Tensor:
        """(B, D) from B products."""
        return self.output_proj(*self.rows(regions))  # type: ignore[no-any-return]

    def rows(self, regions: Regions) -> tuple[Tensor, Packing]:
        """(R, width) rows of regions, with the mean region before those of each product."""
        packing = regions.packing
        rows = self.input_proj(self.features(regions.features))  # (R, width)
        if self.box_mlp is not None:
            rows = rows + self.box_mlp(regions.boxes.to(rows.dtype))
        if self.mean_region is not None:
            rows, packing = _prepend_mean(rows, packing, self.mean_region)
        for layer in self.layers:
            rows = layer(rows, packing)
        return rows, packing


class TextTower(nn.Module):
    """Queries to vectors, from ``shared`` frozen word vectors or learned ones."""

    frequent: Tensor  # (V,) False at ids that are read as the unknown token

    def __init__(
        self, vocabulary_size: int, config: DualConfig, unknown: int, shared: WordVectors | None
    ) -> None:
        super().__init__()
        width, self.unknown = config.width, unknown
        self.shared = shared
        self.input_proj: nn.Module
        if shared is None:
            self.input_proj = nn.Embedding(vocabulary_size, width)
            nn.init.normal_(self.input_proj.weight, std=0.5)
        else:
            shared.requires_grad_(False)
            self.input_proj = nn.Linear(shared.width, width)
        self.register_buffer("frequent", torch.ones(vocabulary_size, dtype=torch.bool))
        self.dropout = nn.Dropout(config.word_dropout)
        self.positions = nn.Embedding(_POSITIONS, width) if config.positions else None
        if self.positions is not None:
            nn.init.normal_(self.positions.weight, std=0.02)
        self.gru = BiGRU(width, width // 2, 1, 0.0) if config.text == "gru" else None
        layers = 0 if config.text == "bag" else config.text_layers
        self.layers = _layers(layers, width, config)
        self.output_proj = PoolingHead(width, config.text_pool, config)

    def forward(self, tokens: Tokens) -> Tensor:
        """(B, D) from B queries."""
        return self.output_proj(*self.rows(tokens))  # type: ignore[no-any-return]

    def rows(self, tokens: Tokens) -> tuple[Tensor, Packing]:
        """(L, width) rows of the L tokens of B queries."""
        packing = Packing.of(tokens.lengths)
        ids = tokens.ids[tokens.mask]  # (L,)
        ids = torch.where(self.frequent[ids], ids, self.unknown)
        words = ids if self.shared is None else self.shared.normalised(ids)
        rows = self.dropout(self.input_proj(words))  # (L, width)
        if self.positions is not None:
            # Longer queries are rare: tokens beyond the last position embedding share it.
            rows = rows + self.positions(packing.position_ids.clamp(max=_POSITIONS - 1))
        if self.gru is not None:
            states, _, layout = self.gru(rows, tokens)
            starts = packing.lengths.cumsum(0) - packing.lengths
            # The GRU's output is time-major; sort it back to query after query.
            rows = rows + states[(starts[layout.row_ids] + layout.position_ids).argsort()]
        for layer in self.layers:
            rows = layer(rows, packing)
        return rows, packing


class DualTower(nn.Module):
    """Both sides of one dual encoder."""

    def __init__(self, image: ImageTower, text: TextTower) -> None:
        super().__init__()
        self.image, self.text = image, text


class Dual(nn.Module):
    """Towers and the scale of their softmax loss.

    Ids in fewer than ``config.min_count`` of the training queries (``counts`` (V,)) are read as the
    token ``unknown``; without counts none are. ``shared`` word vectors are for
    ``config.vectors`` = "shared".
    """

    pairs_per_chunk = 1 << 16

    def __init__(
        self,
        feature_width: int,
        vocabulary_size: int,
        config: DualConfig,
        unknown: int,
        counts: Tensor | None = None,
        shared: WordVectors | None = None,
    ) -> None:
        super().__init__()
        self.unknown = unknown
        self.towers: Any = nn.ModuleList()
        for _ in range(config.towers):
            words = copy.deepcopy(shared) if config.vectors == "shared" else None
            image = ImageTower(feature_width, config)
            text = TextTower(vocabulary_size, config, unknown, words)
            if counts is not None:
                text.frequent.copy_(counts >= config.min_count)
            self.towers.append(DualTower(image, text))
        self.log_scale = nn.Parameter(torch.tensor(math.log(config.scale)), config.learn_scale)

    @classmethod
    def build(cls, config: DualConfig, inputs: ModelInputs) -> Self:
        """The network of a recipe."""
        size, unknown = inputs.vocabulary.size, inputs.vocabulary.unk
        return cls(inputs.feature_width, size, config, unknown, inputs.counts, inputs.words)

    @property
    def scale(self) -> Tensor:
        """() inverse temperature of the softmax, at most 100 (Radford et al., "CLIP", 2021)."""
        return self.log_scale.exp().clamp(max=100.0)

    def encode_products(self, regions: Regions) -> DualEncodings:
        """Vectors of B products."""
        return encode_by_length(self._encode_products, regions, DualEncodings.take)

    def encode_queries(self, tokens: Tokens) -> DualEncodings:
        """Vectors of B queries."""
        return encode_by_length(self._encode_queries, tokens, DualEncodings.take)

    def tower_matrices(self, queries: DualEncodings, products: DualEncodings) -> list[Tensor]:
        """(Q, P) float32 cosines of all queries with all products, by tower."""
        count = len(self.towers)
        parts = zip(queries.vectors.chunk(count, 1), products.vectors.chunk(count, 1), strict=True)
        # A tower's part of a unit vector has length 1 / sqrt(towers).
        return [count * scoring.dot(left, right) for left, right in parts]

    def score_matrix(self, queries: DualEncodings, products: DualEncodings) -> Tensor:
        """(Q, P) float32 cosines of all queries with all products."""
        return scoring.dot(queries.vectors, products.vectors)

    def score_pairs(
        self, queries: DualEncodings, products: DualEncodings, query: Tensor, product: Tensor
    ) -> Tensor:
        """(N,) float32 cosines of pairs."""
        size = self.pairs_per_chunk
        parts = zip(torch.split(query, size), torch.split(product, size), strict=True)
        return torch.cat([(queries.vectors[q] * products.vectors[p]).sum(1) for q, p in parts])

    def _encode_products(self, regions: Regions) -> DualEncodings:
        return joined_towers([tower.image(regions) for tower in self.towers])

    def _encode_queries(self, tokens: Tokens) -> DualEncodings:
        return joined_towers([tower.text(tokens) for tower in self.towers])


class Student(Dual):
    """A dual encoder with the settings of the recipe's, but for its towers and dropout."""

    @classmethod
    def build(cls, config: StudentConfig, inputs: ModelInputs) -> Self:  # type: ignore[override]
        """The network of a recipe."""
        dual = replace(inputs.recipe.dual, towers=config.towers, dropout=config.dropout)
        return super().build(dual, inputs)


def joined_towers(vectors: list[Tensor]) -> DualEncodings:
    """(B, towers * D) unit vectors from the (B, D) of each tower."""
    units = [scoring.unit(vector) for vector in vectors]
    return DualEncodings(torch.cat(units, 1) / len(vectors) ** 0.5)


def _prepend_mean(rows: Tensor, packing: Packing, offset: Tensor) -> tuple[Tensor, Packing]:
    """Prepend to each product's regions (R, width) their mean plus a learned offset (width,)."""
    means = packing.mean(scoring.at_least_float32(rows)) + offset  # (B, width)
    longer = Packing.of(packing.lengths + 1)
    region = torch.arange(len(longer.segment_ids), device=rows.device) - longer.segment_ids - 1
    source = torch.where(longer.position_ids == 0, longer.segment_ids, len(means) + region)
    return torch.cat([means.to(rows.dtype), rows])[source], longer


def _layers(count: int, width: int, config: DualConfig) -> nn.ModuleList:
    return nn.ModuleList(
        PackedLayer(width, config.heads, config.feedforward, config.dropout) for _ in range(count)
    )


def _box_mlp(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, _BOX_HIDDEN), nn.GELU(), nn.Linear(_BOX_HIDDEN, width))
