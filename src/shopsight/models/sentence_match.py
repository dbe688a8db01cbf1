"""Sentence match: a GRU reads the query, starting from what the photo shows (method section 5).

Nothing of it splits into a query's part and a product's part but the first layer's input: the
words of a query are looked up, normalised and multiplied once, however many products it meets.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shopsight import scoring
from shopsight.batches.batch import Regions, Tokens
from shopsight.config import EncoderConfig, SentenceMatchConfig
from shopsight.models.base import Encodings
from shopsight.models.gru import BiGRU
from shopsight.models.image_encoder import ImageEncoder, ImageEncoding
from shopsight.models.word_vectors import WordVectors

_PAIRS = 1024


@dataclass(frozen=True, eq=False)
class SentenceQueries(Encodings):
    """Queries: (Q, T) token ids and their mask; the GRU reads them with each photo."""

    ids: Tensor
    mask: Tensor


@dataclass(frozen=True, eq=False)
class SentenceProducts(Encodings):
    """Products: (P, H) the states from which the GRU starts."""

    start: Tensor


class SentenceMatch(nn.Module):
    """score = Linear(mean of a bidirectional GRU's two final states, started from the photo).

    Args:
        feature_width: F.
        words: the word vectors.
        encoder: the image encoder's settings.
        config: everything else.
    """

    def __init__(
        self,
        feature_width: int,
        words: WordVectors,
        encoder: EncoderConfig,
        config: SentenceMatchConfig,
    ) -> None:
        super().__init__()
        hidden = config.gru_hidden or words.width
        self.words = words
        self.encoder = ImageEncoder(feature_width, words.width, encoder)
        same = hidden == words.width
        self.start = nn.Identity() if same else nn.Linear(words.width, hidden)
        self.gru = BiGRU(words.width, hidden, config.gru_layers, config.dropout)
        self.out = nn.Linear(hidden, 1)

    def encode_products(self, regions: Regions) -> SentenceProducts:
        """Encodings of B products."""
        code: ImageEncoding = self.encoder(regions)
        return SentenceProducts(scoring.at_least_float32(self.start(code.caption)))

    def encode_queries(self, tokens: Tokens) -> SentenceQueries:
        """Encodings of B queries, which are their tokens."""
        return SentenceQueries(tokens.ids, tokens.mask)

    def score_pairs(
        self,
        queries: SentenceQueries,
        products: SentenceProducts,
        query_idx: Tensor,
        product_idx: Tensor,
    ) -> Tensor:
        """(N,) float32 logits of pairs."""

        def score(query: Tensor, product: Tensor, length: int) -> Tensor:
            asked, row = torch.unique(query, return_inverse=True)
            tokens = Tokens(queries.ids[asked, :length], queries.mask[asked, :length])
            words = self.words.normalised(tokens.ids[tokens.mask])
            _, finals, _ = self.gru(words, tokens, row, products.start[product])
            forth, back = finals.chunk(2, dim=1)
            return scoring.at_least_float32(self.out((forth + back) / 2))[:, 0]

        lengths = queries.mask.sum(1)
        return scoring.in_chunks(score, query_idx, product_idx, lengths, _PAIRS)
