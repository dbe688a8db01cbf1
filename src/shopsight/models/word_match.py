"""Word match: weighted words, each against its most similar head (docs/method.md, section 4).

The first Linear of the token weights reads [text state; head 0]. It is split: its text half runs
once per token, its photo half once per product, and each pair adds the two (`PairwiseLogits`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shopsight import scoring
from shopsight.batches.batch import Regions, Tokens
from shopsight.batches.ragged import Packing
from shopsight.config import EncoderConfig, WordMatchConfig
from shopsight.models.base import Encodings, WordAttribution
from shopsight.models.gru import BiGRU, mean_of_directions
from shopsight.models.image_encoder import MatchingModel
from shopsight.models.pairwise import PairwiseLogits
from shopsight.models.word_vectors import WordVectors


@dataclass(frozen=True, eq=False)
class WordQueries(Encodings):
    """Queries: (Q, T, E) raw word vectors, (Q, T, M) text half of the first Linear, mask."""

    words: Tensor
    hidden: Tensor
    mask: Tensor


@dataclass(frozen=True, eq=False)
class WordProducts(Encodings):
    """Products: (P, H, E) label heads, (P, M) photo half of the first Linear."""

    heads: Tensor
    hidden: Tensor


class WordMatch(MatchingModel):
    """score = sum_t weight_t * max_h <word_t, head_h>."""

    pairs_per_chunk = 2048

    def __init__(
        self,
        feature_width: int,
        words: WordVectors,
        encoder: EncoderConfig,
        config: WordMatchConfig,
    ) -> None:
        super().__init__(feature_width, words, encoder)
        self.uniform = config.uniform_weights
        self.gru = BiGRU(words.width, config.gru_hidden, config.gru_layers, config.dropout)
        self.text_half = nn.Linear(config.gru_hidden, config.match_hidden)
        self.photo_half = nn.Linear(words.width, config.match_hidden, bias=False)
        self.logits = PairwiseLogits(config.match_hidden)

    def encode_products(self, regions: Regions) -> WordProducts:
        """Encodings of B products."""
        encoding = self.encode_photos(regions)
        hidden = scoring.at_least_float32(self.photo_half(encoding.caption))  # (B, M)
        return WordProducts(encoding.labels, hidden)

    def encode_queries(self, tokens: Tokens) -> WordQueries:
        """Encodings of B queries with L tokens in all."""
        states, _, layout = self.gru(self.words.normalised(tokens.ids[tokens.mask]), tokens)
        hidden = self.text_half(mean_of_directions(states))  # (L, M), time-major
        hidden = scoring.at_least_float32(hidden)
        padded = hidden.new_zeros(*tokens.ids.shape, hidden.shape[1])  # (B, T, M)
        padded = padded.index_put((layout.row_ids, layout.position_ids), hidden)
        return WordQueries(self.words.raw(tokens.ids), padded, tokens.mask)

    def score_matrix(self, queries: WordQueries, products: WordProducts) -> Tensor:
        """(Q, P) float32 scores of all queries with all products; L tokens in all."""
        words, hidden = queries.words[queries.mask], queries.hidden[queries.mask]
        packing = Packing.of(queries.mask.sum(1))
        similarities = scoring.max_sim_matrix(words, products.heads)  # (L, P)
        if self.uniform:
            return packing.mean(similarities)
        weights = packing.softmax(self.logits(hidden, products.hidden))  # (L, P)
        return packing.sum(weights * similarities)

    def score_chunk(
        self, queries: WordQueries, products: WordProducts, query: Tensor, product: Tensor
    ) -> Tensor:
        """(n,) float32 scores of pairs of similar length."""
        taken = queries.take(query)
        similarities = scoring.max_sim(taken.words, products.heads[product])  # (n, T)
        logits = self._pair_logits(taken, products.hidden[product])
        return scoring.weighted_sum(similarities, logits, taken.mask)

    def region_weights(self, regions: Regions) -> Tensor:
        """(R,) weights of regions in the heads of their photos."""
        return self.encode_photos(regions).weights

    def attribute(
        self, queries: WordQueries, products: WordProducts, regions: Regions | None = None
    ) -> WordAttribution:
        """Attribute the scores of one query with N products to its words and to their regions."""
        logits = self._pair_logits(queries, products.hidden)  # (N, T)
        weights = scoring.token_weights(logits, queries.mask)
        words = queries.words[0]
        matches, heads = scoring.dot(words, products.heads).max(2)  # (N, T) out of (N, T, H)
        by_region: Sequence[Tensor] = [weights.new_zeros(len(words), 0)] * len(products)
        if regions is not None:
            by_region = self._match_by_region(words, heads, regions)
        return WordAttribution(weights, matches, by_region)

    def _match_by_region(self, words: Tensor, heads: Tensor, regions: Regions) -> list[Tensor]:
        """For each of N photos (T, R): the contribution of each region to each word's match.

        A head is a weighted sum over regions (docs/method.md, section 3), so the match of a word
        (T, E) with its best head (N, T) is a sum over regions too.
        """
        layers = self.encoder.heads
        rows = self.encoder.through_trunk(regions)  # (R, G)
        weights, terms = layers.weighted_regions(rows, regions.packing)
        last = layers.output_proj.weight.view(layers.count, words.shape[1], -1)[1:]
        projected = torch.einsum("te,heg->thg", words, last)  # (T, H, hidden)
        bias = words @ layers.output_proj.bias.view(layers.count, -1)[1:].T  # (T, H)
        lengths, token = regions.lengths.tolist(), torch.arange(len(words))
        photos = zip(heads, torch.split(terms, lengths), torch.split(weights, lengths), strict=True)
        return [
            projected[token, head] @ term.T + bias[token, head][:, None] * weight
            for head, term, weight in photos
        ]

    def _pair_logits(self, queries: WordQueries, photos: Tensor) -> Tensor:
        """(N, T) weight logits of N queries with N photos (N, M); 0 if weights are uniform."""
        if self.uniform:
            return queries.hidden.new_zeros(queries.mask.shape)
        return self.logits.of_sums(queries.hidden + photos[:, None])
