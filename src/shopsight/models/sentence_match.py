"""Sentence match: a GRU reads the query, starting from the photo (docs/method.md, section 5).

Only the input of its first layer does not depend on the product: the words of a query are looked
up, normalised and projected once for all its products.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shopsight import scoring
from shopsight.batches.batch import Regions, Tokens
from shopsight.config import EncoderConfig, SentenceMatchConfig
from shopsight.models.base import Encodings
from shopsight.models.gru import BiGRU, mean_of_directions
from shopsight.models.image_encoder import MatchingModel
from shopsight.models.word_vectors import WordVectors


@dataclass(frozen=True, eq=False)
class SentenceQueries(Encodings):
    """Queries: (Q, T) token ids and their mask; the GRU reads them anew for each photo."""

    ids: Tensor
    mask: Tensor


@dataclass(frozen=True, eq=False)
class SentenceProducts(Encodings):
    """Products: (P, H) initial states of the GRU."""

    start: Tensor


class SentenceMatch(MatchingModel):
    """score = Linear(mean of the final states of a bidirectional GRU, started from the photo)."""

    pairs_per_chunk = 1024

    def __init__(
        self,
        feature_width: int,
        words: WordVectors,
        encoder: EncoderConfig,
        config: SentenceMatchConfig,
    ) -> None:
        super().__init__(feature_width, words, encoder)
        hidden = config.gru_hidden or words.width
        same = hidden == words.width
        self.start = nn.Identity() if same else nn.Linear(words.width, hidden)
        self.gru = BiGRU(words.width, hidden, config.gru_layers, config.dropout)
        self.out = nn.Linear(hidden, 1)

    def encode_products(self, regions: Regions) -> SentenceProducts:
        """Encodings of B products."""
        caption = self.encode_photos(regions).caption
        return SentenceProducts(scoring.at_least_float32(self.start(caption)))

    def encode_queries(self, tokens: Tokens) -> SentenceQueries:
        """Encodings of B queries, which are their tokens."""
        return SentenceQueries(tokens.ids, tokens.mask)

    def score_chunk(
        self, queries: SentenceQueries, products: SentenceProducts, query: Tensor, product: Tensor
    ) -> Tensor:
        """(n,) float32 logits of pairs of similar length."""
        distinct, row = torch.unique(query, return_inverse=True)
        tokens = Tokens(queries.ids[distinct], queries.mask[distinct])
        words = self.words.normalised(tokens.ids[tokens.mask])  # (L, E)
        _, finals, _ = self.gru(words, tokens, row, products.start[product])  # (n, 2H)
        return scoring.at_least_float32(self.out(mean_of_directions(finals)))[:, 0]
