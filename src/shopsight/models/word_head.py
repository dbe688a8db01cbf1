"""Word head: a small classifier of words, the learned baseline that trains in seconds.

Two layers on the mean and the maximum of a product's region features predict the words of its
queries, by a softmax over all words. The score of a query is the mean log probability of its words,
which is an inner product of one vector per side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight.batches.batch import Regions, Tokens
from shopsight.config import WordHeadConfig
from shopsight.models.base import Encodings
from shopsight.models.pooling import Pooling
from shopsight.models.region_features import RegionFeatures
from shopsight.models.registry import ModelInputs
from shopsight.scoring import at_least_float32

_PAIRS = 1 << 15  # scored at a time


@dataclass(frozen=True, eq=False)
class WordHeadEncodings(Encodings):
    """(N, H + 2) queries or products, whose inner product is the mean log probability of words."""

    states: Tensor


class WordClassifier(nn.Module):
    """Log probabilities of L words from pooled region features.

    The buffer ``columns`` (V,) holds the label of each token, -1 if it has none.
    """

    columns: Tensor

    def __init__(self, width: int, labels: int, columns: Tensor, config: WordHeadConfig) -> None:
        super().__init__()
        self.features = RegionFeatures(width, config.features)
        self.pools = nn.ModuleList(Pooling(self.features.out, kind) for kind in ("mean", "max"))
        self.hidden = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(2 * self.features.out, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.hidden_dropout),
        )
        self.words = nn.Linear(config.hidden, labels)
        self.register_buffer("columns", columns)

    @classmethod
    def build(cls, config: WordHeadConfig, inputs: ModelInputs) -> Self:
        """The network of a recipe; its labels are the tokens of enough training queries."""
        vocabulary = inputs.vocabulary
        columns = torch.full((vocabulary.size,), -1)
        if inputs.counts is None:
            # The file overwrites the columns with the real ones.
            return cls(inputs.feature_width, inputs.shapes["words.weight"][0], columns, config)
        special = [vocabulary.pad, vocabulary.unk, vocabulary.start, vocabulary.end]
        counts = inputs.counts.clone()
        counts[special] = 0
        labels = (counts >= min(config.min_count, int(counts.max()))).nonzero()[:, 0]
        columns[labels] = torch.arange(len(labels))
        return cls(inputs.feature_width, len(labels), columns, config)

    def pooled(self, regions: Regions) -> Tensor:
        """(B, H) hidden states of B products."""
        rows = self.features(regions.features)
        pools = [pool(rows, regions.packing) for pool in self.pools]
        states: Tensor = self.hidden(torch.cat(pools, dim=1))
        return states

    def label_targets(self, tokens: Tokens) -> Tensor:
        """(B, L) bool, the labels among the tokens of each row."""
        columns = self.columns[tokens.ids]
        row, position = (tokens.mask & (columns >= 0)).nonzero(as_tuple=True)
        targets = columns.new_zeros(len(tokens), self.words.out_features, dtype=torch.bool)
        targets[row, columns[row, position]] = True
        return targets

    def encode_products(self, regions: Regions) -> WordHeadEncodings:
        """Encodings of B products: hidden state, 1, and minus the logarithm of the denominator."""
        states = at_least_float32(self.pooled(regions))
        partition = at_least_float32(self.words(states)).logsumexp(1, keepdim=True)
        return WordHeadEncodings(torch.cat([states, torch.ones_like(partition), -partition], 1))

    def encode_queries(self, tokens: Tokens) -> WordHeadEncodings:
        """Encodings of B queries: mean weights and bias of their words, and 1; 0 without any."""
        columns = self.columns[tokens.ids]  # (B, T)
        mask = (tokens.mask & (columns >= 0))[..., None]
        table = torch.cat([self.words.weight, self.words.bias[:, None]], 1)  # (L, H + 1)
        rows = functional.pad(table, (0, 1), value=1.0)[columns.clamp(min=0)]  # (B, T, H + 2)
        return WordHeadEncodings((rows * mask).sum(1) / mask.sum(1).clamp(min=1))

    def score_pairs(
        self,
        queries: WordHeadEncodings,
        products: WordHeadEncodings,
        query_idx: Tensor,
        product_idx: Tensor,
    ) -> Tensor:
        """(N,) mean log probability of the query's words that are labels; 0 without any."""
        chunks = zip(torch.split(query_idx, _PAIRS), torch.split(product_idx, _PAIRS), strict=True)
        return torch.cat([(queries.states[q] * products.states[p]).sum(1) for q, p in chunks])
