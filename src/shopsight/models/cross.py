"""Cross-encoder: the words of a query and the regions of a photo attend to each other.

docs/method.md, section 12. Both sides start in the towers of the dual encoder. The rows of the
first tower, before they are pooled, depend on one side only: they are the encodings that are
stored, and only the joint layers run for every pair.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight import scoring
from shopsight.batches.batch import Regions, Tokens
from shopsight.batches.ragged import Packing
from shopsight.config import CrossConfig, DualConfig
from shopsight.config.checks import indivisible
from shopsight.models.attention import PackedLayer, attention_weights, encode_by_length
from shopsight.models.base import Encodings, WordAttribution
from shopsight.models.dual import Dual, joined_towers
from shopsight.models.registry import ModelInputs


@dataclass(frozen=True, eq=False)
class CrossQueries(Encodings):
    """Queries: (Q, T, D) rows of the text tower, (Q, T) their mask, (Q, E) unit vectors."""

    words: Tensor
    mask: Tensor
    vectors: Tensor

    def cut(self, length: int) -> Self:
        """The first ``length`` tokens."""
        return replace(self, words=self.words[:, :length], mask=self.mask[:, :length])


@dataclass(frozen=True, eq=False)
class CrossProducts(Encodings):
    """Products: (P, R, D) rows of the image tower, (P, R) their mask, (P, E) unit vectors.

    R is a setting, so that an index can store them.
    """

    regions: Tensor
    mask: Tensor
    vectors: Tensor


class Cross(nn.Module):
    """score = scale * cosine + sum_t weight_t * match_t over the words t, after the joint layers.

    The cosine is that of the dual encoder, and the matches start as 0: training starts from its
    ranking.
    """

    pairs_per_chunk = 2048

    def __init__(self, dual: Dual, config: CrossConfig, tower: DualConfig) -> None:
        super().__init__()
        self.unknown, self.slots = dual.unknown, config.regions
        self.towers, self._frozen = dual.towers, False
        width, image = tower.width, self.towers[0].image
        image_width = image.output_proj.norm.normalized_shape[0]
        same = image_width == width
        self.region_proj = nn.Identity() if same else nn.Linear(image_width, width)
        self.sides = nn.Parameter(torch.zeros(2, width))
        self.layers: Any = nn.ModuleList(
            PackedLayer(width, config.heads, config.feedforward, config.dropout)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.weight_proj, self.match_proj = nn.Linear(width, 1), nn.Linear(width, 1)
        for layer in (self.weight_proj, self.match_proj):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.log_scale = nn.Parameter(dual.log_scale.detach().clone())

    @classmethod
    def build(cls, config: CrossConfig, inputs: ModelInputs) -> Self:
        """The network of a recipe."""
        tower = replace(inputs.recipe.dual, dropout=config.dropout)
        if tower.width % config.heads:
            raise indivisible(tower.width, config.heads, "cross.heads")
        return cls(Dual.build(tower, inputs), config, tower)

    def freeze_towers(self) -> None:
        """Stop training the towers, whose dropout then stops too."""
        self.towers.requires_grad_(False)
        self._frozen = True

    def train(self, mode: bool = True) -> Self:
        """Set the mode, but keep frozen towers in eval mode."""
        super().train(mode)
        self.towers.train(mode and not self._frozen)
        return self

    def encode_products(self, regions: Regions) -> CrossProducts:
        """Encodings of B products, of which the first regions are kept."""
        return encode_by_length(self._encode_products, regions, CrossProducts.take)

    def encode_queries(self, tokens: Tokens) -> CrossQueries:
        """Encodings of B queries with L tokens in all."""
        first, *others = (tower.text for tower in self.towers)
        rows, packing = first.rows(tokens)  # (L, D)
        vectors = [first.output_proj(rows, packing), *(text(tokens) for text in others)]
        padded = packing.pad(scoring.at_least_float32(rows) + self.sides[0])
        return CrossQueries(padded, packing.mask, joined_towers(vectors).vectors)

    def score_pairs(
        self, queries: CrossQueries, products: CrossProducts, query_idx: Tensor, product_idx: Tensor
    ) -> Tensor:
        """(N,) float32 scores of pairs."""

        def score(query: Tensor, product: Tensor, length: int) -> Tensor:
            taken = queries.cut(length).take(query)
            return self._score(taken, products.take(product))

        lengths = queries.mask.sum(1)
        return scoring.score_in_chunks(score, query_idx, product_idx, lengths, self.pairs_per_chunk)

    def attribute(
        self, queries: CrossQueries, products: CrossProducts, regions: Regions | None = None
    ) -> WordAttribution:
        """Attribute the matches of one query with N products to words and, by attention, regions.

        The contribution of a region to a word is the attention, averaged over the heads of the last
        joint layer, that the word pays to it.
        """
        same = queries.take(torch.zeros_like(products.mask[:, 0], dtype=torch.int64))
        rows, packing, is_word = self._join(same, products)
        for layer in self.layers[:-1]:
            rows = layer(rows, packing)
        tokens, skipped = queries.mask.shape[1], int(self.towers[0].image.mean_region is not None)
        by_region = [rows.new_zeros(tokens, 0)] * len(products)
        if regions is not None:
            paid = packing.pad(rows).new_zeros(len(products), packing.longest, packing.longest)
            if len(self.layers):
                last = self.layers[-1]
                paid = attention_weights(last.qkv(last.attention_norm(rows)), packing, last.heads)
            by_region = [
                functional.pad(row[:tokens, tokens + skipped :], (0, count))[:, :count]
                for row, count in zip(paid, regions.lengths.tolist(), strict=True)
            ]
        for layer in self.layers[-1:]:
            rows = layer(rows, packing)
        weights, matches = self._words(rows[is_word], Packing.of(same.mask.sum(1)))
        shape = len(products), tokens
        return WordAttribution(weights.view(shape), matches.view(shape), by_region)

    def region_weights(self, regions: Regions) -> Tensor:
        """(R,) weights of regions: all of a photo are the same before a query attends to them."""
        return torch.repeat_interleave(1 / regions.lengths, regions.lengths)

    def _encode_products(self, regions: Regions) -> CrossProducts:
        first, *others = (tower.image for tower in self.towers)
        rows, packing = first.rows(regions)
        vectors = [first.output_proj(rows, packing), *(image(regions) for image in others)]
        rows = scoring.at_least_float32(self.region_proj(rows)) + self.sides[1]
        missing = self.slots - packing.longest  # negative if some are left out
        padded = functional.pad(packing.pad(rows), (0, 0, 0, missing))
        return CrossProducts(
            padded, functional.pad(packing.mask, (0, missing)), joined_towers(vectors).vectors
        )

    def _join(
        self, queries: CrossQueries, products: CrossProducts
    ) -> tuple[Tensor, Packing, Tensor]:
        """Packed rows of n pairs, the words of each before its regions, and a mask of the words."""
        mask = torch.cat([queries.mask.bool(), products.mask.bool()], 1)  # (n, T + R)
        rows = torch.cat([queries.words, products.regions], 1)[mask]
        is_word = torch.arange(mask.shape[1], device=mask.device) < queries.mask.shape[1]
        return rows, Packing.of(mask.sum(1)), is_word.expand_as(mask)[mask]

    def _score(self, queries: CrossQueries, products: CrossProducts) -> Tensor:
        """(n,) scores of the pairs of n queries and n products."""
        # Pairs of equal length are neighbours, so that attention has few blocks.
        order = (queries.mask.sum(1) + products.mask.bool().sum(1)).argsort(stable=True)
        queries, products = queries.take(order), products.take(order)
        rows, packing, is_word = self._join(queries, products)
        for layer in self.layers:
            rows = layer(rows, packing)
        words = Packing.of(queries.mask.sum(1))
        weights, matches = self._words(rows[is_word], words)
        cosines = (queries.vectors * products.vectors).sum(1)
        scores = self.log_scale.exp() * cosines + words.sum(weights * matches)[:, 0]
        return scores[order.argsort()]

    def _words(self, rows: Tensor, packing: Packing) -> tuple[Tensor, Tensor]:
        """(L, 1) weights of words, which sum to 1 for each pair, and (L, 1) their matches."""
        rows = self.norm(rows)
        weights = packing.softmax(scoring.at_least_float32(self.weight_proj(rows)))
        return weights, scoring.at_least_float32(self.match_proj(rows))
