"""Label match: query words as labels of the photo, and the query as its caption.

docs/method.md, section 3. The model ranks, tags and captions (`shopsight.models.captions`), and its
encoder and word vectors are where word match and sentence match start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight import scoring
from shopsight.batches.batch import Regions, Tokens
from shopsight.config import EncoderConfig, LabelMatchConfig
from shopsight.models.base import Encodings
from shopsight.models.gru import GRUDirection, TimeMajorPacking
from shopsight.models.image_encoder import ImageEncoding, MatchingModel
from shopsight.models.registry import ModelInputs
from shopsight.models.word_vectors import WordVectors


class SpecialIds(NamedTuple):
    """Token ids that are not words (see `shopsight.text.vocabulary.Vocabulary`)."""

    pad: int
    unk: int
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class LabelQueries(Encodings):
    """Queries: (Q, T, E) word vectors and the (Q, T) mask."""

    words: Tensor
    mask: Tensor


@dataclass(frozen=True, eq=False)
class LabelProducts(Encodings):
    """Products: (P, H, E) label heads."""

    heads: Tensor


class LabelMatch(MatchingModel):
    """Image encoder with multi-label and caption outputs, whose last layer is the word vectors.

    The buffer ``label_ids`` (V,) holds the labels, ascending: the given ids without special ones.
    """

    label_ids: Tensor
    pairs_per_chunk = 4096

    def __init__(
        self,
        feature_width: int,
        words: WordVectors,
        config: EncoderConfig,
        label_ids: Tensor,
        special: SpecialIds,
        settings: LabelMatchConfig | None = None,
    ) -> None:
        super().__init__(feature_width, words, config)
        width, self.special, settings = words.width, special, settings or LabelMatchConfig()
        self.raw_captions = settings.caption_input == "raw"
        self.softmax = settings.loss == "softmax"
        self.decoder = GRUDirection(width, width)
        self.caption_out = nn.Sequential(
            nn.Linear(width, width), nn.PReLU(), nn.Dropout(config.dropout), nn.Linear(width, width)
        )
        occurring = torch.unique(label_ids)
        kept = occurring[~torch.isin(occurring, torch.tensor(special))]
        self.register_buffer("label_ids", kept)

    @classmethod
    def build(cls, config: LabelMatchConfig, inputs: ModelInputs) -> Self:
        """The network of a recipe; its labels are the tokens that occur in training queries."""
        vocabulary = inputs.vocabulary
        special = SpecialIds(vocabulary.pad, vocabulary.unk, vocabulary.start, vocabulary.end)
        if inputs.counts is None:
            # Any ids of the saved number will do: the file overwrites them with the real ones.
            ids = [token for token in range(vocabulary.size) if token not in special]
            labels = torch.tensor(ids[: inputs.shapes["label_ids"][0]])
        else:
            labels = inputs.counts.nonzero()[:, 0]
        encoder = inputs.recipe.encoder
        return cls(inputs.feature_width, inputs.words, encoder, labels, special, config)

    @property
    def output_ids(self) -> Tensor:
        """(V + 1,) token ids of captions: the labels, then the end token."""
        return torch.cat([self.label_ids, self.label_ids.new_tensor([self.special.end])])

    def columns(self, ids: Tensor) -> Tensor:
        """Index in ``output_ids`` of token ids (...); -1 if absent."""
        index = torch.searchsorted(self.label_ids, ids).clamp(max=len(self.label_ids) - 1)
        column = torch.where(self.label_ids[index] == ids, index, -1)
        return torch.where(ids == self.special.end, len(self.label_ids), column)

    def label_logits(self, encoding: ImageEncoding) -> Tensor:
        """(B, V) logit of each label, the maximum over the label heads."""
        vectors = self.words.raw(self.label_ids)  # (V, E)
        logits = functional.linear(encoding.labels.flatten(0, 1), vectors)  # (B * H, V)
        return logits.view(len(encoding.heads), -1, len(vectors)).amax(1)

    def label_probabilities(self, encoding: ImageEncoding) -> Tensor:
        """(B, V) probability of each label."""
        logits = scoring.at_least_float32(self.label_logits(encoding))
        return logits.softmax(1) if self.softmax else logits.sigmoid()

    def label_targets(self, tokens: Tokens) -> Tensor:
        """(B, V) bool, the labels among the tokens of each row."""
        columns = self.columns(tokens.ids)  # (B, T)
        is_label = tokens.mask & (columns >= 0) & (columns < len(self.label_ids))
        row, position = is_label.nonzero(as_tuple=True)
        targets = is_label.new_zeros(len(tokens), len(self.label_ids))
        targets[row, columns[row, position]] = True
        return targets

    def caption_logits(
        self, starts: Tensor, tokens: Tokens, read: Tokens | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits of the next token, at the start and after each of M tokens of B queries.

        The decoder starts from caption heads (B, E) and may read other tokens than it predicts,
        such as queries with a masked token.

        Returns:
            (M + B, V + 1) logits over ``output_ids`` and (M + B,) target columns, -1 for tokens
            that are not among them.
        """
        read = tokens if read is None else read
        ids = functional.pad(read.ids, (1, 0), value=self.special.start)  # (B, T + 1)
        targets = functional.pad(tokens.ids, (0, 1), value=self.special.end)
        ends = torch.arange(ids.shape[1], device=ids.device) == tokens.lengths[:, None]
        targets = targets.masked_fill(ends, self.special.end)
        layout = TimeMajorPacking.of(tokens.lengths + 1)
        inputs = self.decoder_gates(ids[layout.row_ids, layout.position_ids])  # (M + B, 3E)
        first = scoring.at_least_float32(starts)[layout.sorted_indices]
        states, _ = self.decoder.scan_forward(inputs, layout, first)
        return self.next_logits(states), self.columns(targets[layout.row_ids, layout.position_ids])

    def decoder_gates(self, ids: Tensor) -> Tensor:
        """(N, 3E) what token ids (N,) add to the gates of the decoder."""
        vectors = self.words.raw(ids) if self.raw_captions else self.words.normalised(ids)
        gates: Tensor = self.decoder.inputs(vectors)
        return gates

    def next_logits(self, states: Tensor) -> Tensor:
        """(N, V + 1) logits over ``output_ids`` from decoder states (N, E)."""
        return functional.linear(self.caption_out(states), self.words.raw(self.output_ids))

    def encode_products(self, regions: Regions) -> LabelProducts:
        """Encodings of B products; of a softmax with minus its log denominator as a last column."""
        encoding = self.encode_photos(regions)
        if not self.softmax:
            return LabelProducts(encoding.labels)
        partition = scoring.at_least_float32(self.label_logits(encoding)).logsumexp(1)
        column = -partition[:, None, None].expand(-1, encoding.labels.shape[1], 1)
        return LabelProducts(torch.cat([encoding.labels, column], 2))

    def encode_queries(self, tokens: Tokens) -> LabelQueries:
        """Encodings of B queries."""
        words = self.words.raw(tokens.ids)
        return LabelQueries(functional.pad(words, (0, int(self.softmax)), value=1.0), tokens.mask)

    def score_chunk(
        self, queries: LabelQueries, products: LabelProducts, query: Tensor, product: Tensor
    ) -> Tensor:
        """(n,) mean log likelihood of the words of each query as labels of the photo."""
        logits = scoring.max_sim(queries.words[query], products.heads[product])  # (n, T)
        return scoring.mean_log_likelihood(logits, queries.mask[query], self.softmax)
