"""Word match: weighted words, each with the head of the photo that suits it (method section 4).

The word weights' first Linear reads [text state; head 0]. It is split: its text half runs once per
token and its photo half once per product, and their sum is taken for each pair (`PairwiseLogits`).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from shopsight import scoring
from shopsight.batches.batch import Regions, Tokens
from shopsight.batches.ragged import Packing
from shopsight.config import EncoderConfig, WordMatchConfig
from shopsight.models.base import Encodings
from shopsight.models.gru import BiGRU
from shopsight.models.image_encoder import ImageEncoder, ImageEncoding
from shopsight.models.pairwise import PairwiseLogits
from shopsight.models.word_vectors import WordVectors

_PAIRS = 2048


@dataclass(frozen=True, eq=False)
class WordQueries(Encodings):
    """Q queries.

    Attributes:
        words: (Q, T, E) raw word vectors.
        hidden: (Q, T, M) the text half of the word weights' first Linear.
        mask: (Q, T) True where a token is real.
    """

    words: Tensor
    hidden: Tensor
    mask: Tensor

    def cut(self, length: int) -> WordQueries:
        """The same without the tokens from ``length`` on."""
        return WordQueries(self.words[:, :length], self.hidden[:, :length], self.mask[:, :length])


@dataclass(frozen=True, eq=False)
class WordProducts(Encodings):
    """P products.

    Attributes:
        heads: (P, H, E) the heads that words choose from.
        hidden: (P, M) the photo half of the word weights' first Linear.
    """

    heads: Tensor
    hidden: Tensor


class WordMatch(nn.Module):
    """score = sum_w weight_w * max_h <word_w, head_h>.

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
        config: WordMatchConfig,
    ) -> None:
        super().__init__()
        self.words, self.uniform = words, config.uniform_weights
        self.encoder = ImageEncoder(feature_width, words.width, encoder)
        self.gru = BiGRU(words.width, config.gru_hidden, config.gru_layers, config.dropout)
        self.text_half = nn.Linear(config.gru_hidden, config.match_hidden)
        self.photo_half = nn.Linear(words.width, config.match_hidden, bias=False)
        self.logits = PairwiseLogits(config.match_hidden)

    def encode_products(self, regions: Regions) -> WordProducts:
        """Encodings of B products."""
        code: ImageEncoding = self.encoder(regions)
        hidden = scoring.at_least_float32(self.photo_half(code.caption))
        return WordProducts(code.labels, hidden)

    def encode_queries(self, tokens: Tokens) -> WordQueries:
        """Encodings of B queries."""
        states, _, steps = self.gru(self.words.normalised(tokens.ids[tokens.mask]), tokens)
        forth, back = states.chunk(2, dim=1)
        hidden = scoring.at_least_float32(self.text_half((forth + back) / 2))
        blank = hidden.new_zeros(*tokens.ids.shape, hidden.shape[1])
        hidden = blank.index_put((steps.row_ids, steps.position_ids), hidden)
        return WordQueries(self.words.raw(tokens.ids), hidden, tokens.mask)

    def score_matrix(self, queries: WordQueries, products: WordProducts) -> Tensor:
        """(Q, P) float32 scores of all queries with all products."""
        words, hidden = queries.words[queries.mask], queries.hidden[queries.mask]  # M tokens
        packing = Packing.of(queries.mask.sum(1))
        found = scoring.max_sim_matrix(words, products.heads)  # (M, P)
        if self.uniform:
            return packing.mean(found)
        weights = packing.softmax(self.logits(hidden, products.hidden))  # (M, P)
        return packing.sum(weights * found)

    def score_pairs(
        self, queries: WordQueries, products: WordProducts, query_idx: Tensor, product_idx: Tensor
    ) -> Tensor:
        """(N,) float32 scores of pairs."""

        def score(query: Tensor, product: Tensor, length: int) -> Tensor:
            asked = queries.cut(length).take(query)
            found = scoring.max_sim(asked.words, products.heads[product])
            logits = self._pair_logits(asked, products.hidden[product])
            return scoring.weighted_words(found, logits, asked.mask)

        lengths = queries.mask.sum(1)
        return scoring.in_chunks(score, query_idx, product_idx, lengths, _PAIRS)

    def word_weights(
        self, queries: WordQueries, products: WordProducts, query_idx: Tensor, product_idx: Tensor
    ) -> Tensor:
        """(N, T) how much each word of a query counts for a product; 0 where there is none."""
        asked = queries.take(query_idx)
        logits = self._pair_logits(asked, products.hidden[product_idx])
        return scoring.word_weights(logits, asked.mask)

    def _pair_logits(self, queries: WordQueries, photos: Tensor) -> Tensor:
        """(N, T) of the word weights of N queries with as many photos (N, M); 0 if uniform."""
        if self.uniform:
            return queries.hidden.new_zeros(queries.mask.shape)
        return self.logits.of_sums(queries.hidden + photos[:, None])
