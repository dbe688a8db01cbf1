"""Pretraining: every word of a query is a label of the photo, and the query its caption.

Method section 3. The pretrained model ranks as it is (label match), tags and captions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight import scoring
from shopsight.batches.batch import Regions, Tokens
from shopsight.config import EncoderConfig
from shopsight.models.base import Encodings
from shopsight.models.gru import GRUDirection, Steps
from shopsight.models.image_encoder import ImageEncoder, ImageEncoding
from shopsight.models.word_vectors import WordVectors

_PAIRS = 4096


class SpecialIds(NamedTuple):
    """Token ids that are no words (`shopsight.text.vocabulary.Vocabulary` names them)."""

    pad: int
    unk: int
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class LabelQueries(Encodings):
    """Queries for label match: (Q, T, E) word vectors and the (Q, T) mask."""

    words: Tensor
    mask: Tensor


@dataclass(frozen=True, eq=False)
class LabelProducts(Encodings):
    """Products for label match: (P, H, E) heads."""

    heads: Tensor


class LabelMatch(nn.Module):
    """The image encoder with its two tasks.

    Args:
        feature_width: F.
        words: the word vectors, which are also the output layer of both tasks.
        config: the image encoder.
        label_ids: (V,) token ids that occur in training queries; special ids are left out.
        special: the special ids.

    Attributes:
        label_ids: (V,) the token ids that are labels, ascending.
    """

    label_ids: Tensor

    def __init__(
        self,
        feature_width: int,
        words: WordVectors,
        config: EncoderConfig,
        label_ids: Tensor,
        special: SpecialIds,
    ) -> None:
        super().__init__()
        width = words.width
        self.words, self.special = words, special
        self.encoder = ImageEncoder(feature_width, width, config)
        self.decoder = GRUDirection(width, width)
        self.caption_out = nn.Sequential(
            nn.Linear(width, width), nn.PReLU(), nn.Dropout(config.dropout), nn.Linear(width, width)
        )
        occurring = torch.unique(label_ids)
        kept = occurring[~torch.isin(occurring, torch.tensor(special))]
        self.register_buffer("label_ids", kept)

    @property
    def output_ids(self) -> Tensor:
        """(V + 1,) token ids that captions are made of: the labels, then the end."""
        return torch.cat([self.label_ids, self.label_ids.new_tensor([self.special.end])])

    def columns(self, ids: Tensor) -> Tensor:
        """Where token ids (...) stand in ``output_ids``; -1 for those that are not there."""
        place = torch.searchsorted(self.label_ids, ids).clamp(max=len(self.label_ids) - 1)
        column = torch.where(self.label_ids[place] == ids, place, -1)
        return torch.where(ids == self.special.end, len(self.label_ids), column)

    def label_logits(self, code: ImageEncoding) -> Tensor:
        """(B, V) logit of each label: the head that suits it best decides."""
        vectors = self.words.raw(self.label_ids)
        found = functional.linear(code.labels.flatten(0, 1), vectors)  # (B * H, V)
        return found.view(len(code.heads), -1, len(vectors)).amax(1)

    def label_targets(self, tokens: Tokens) -> Tensor:
        """(B, V) bool, which labels each row of tokens holds."""
        columns = self.columns(tokens.ids)
        real = tokens.mask & (columns >= 0) & (columns < len(self.label_ids))
        row, place = real.nonzero(as_tuple=True)
        targets = real.new_zeros(len(tokens), len(self.label_ids))
        targets[row, columns[row, place]] = True
        return targets

    def caption_logits(
        self, starts: Tensor, tokens: Tokens, read: Tokens | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits of the next token after the start and after each token of a query.

        Args:
            starts: (B, E) caption heads of the photos, the decoder's first states.
            tokens: B queries, M tokens in all, which are to be predicted.
            read: what is read instead, token for token, such as queries with a word left unknown.

        Returns:
            (M + B, V + 1) logits over ``output_ids``, and (M + B,) what comes next, as a column; -1
            where it is no word.
        """
        given = tokens if read is None else read
        ids = functional.pad(given.ids, (1, 0), value=self.special.start)
        following = functional.pad(tokens.ids, (0, 1), value=self.special.end)
        ends = torch.arange(ids.shape[1], device=ids.device) == tokens.lengths[:, None]
        following = following.masked_fill(ends, self.special.end)
        steps = Steps.of(tokens.lengths + 1)
        inputs = self.words.normalised(ids[steps.row_ids, steps.position_ids])
        first = scoring.at_least_float32(starts)[steps.order]
        states, _ = self.decoder.scan_forward(self.decoder.inputs(inputs), steps, first)
        targets = self.columns(following[steps.row_ids, steps.position_ids])
        return self.next_logits(states), targets

    def next_logits(self, states: Tensor) -> Tensor:
        """(N, V + 1) logits over ``output_ids`` from the decoder's states (N, E)."""
        return functional.linear(self.caption_out(states), self.words.raw(self.output_ids))

    def encode_products(self, regions: Regions) -> LabelProducts:
        """Encodings for label match."""
        code: ImageEncoding = self.encoder(regions)
        return LabelProducts(code.labels)

    def encode_queries(self, tokens: Tokens) -> LabelQueries:
        """Encodings for label match."""
        return LabelQueries(self.words.raw(tokens.ids), tokens.mask)

    def score_pairs(
        self, queries: LabelQueries, products: LabelProducts, query_idx: Tensor, product_idx: Tensor
    ) -> Tensor:
        """(N,) mean log likelihood of the words of each query as labels of the photo."""

        def score(query: Tensor, product: Tensor, length: int) -> Tensor:
            words = queries.words[query, :length]
            found = scoring.max_sim(words, products.heads[product])
            return scoring.mean_log_likelihood(found, queries.mask[query, :length])

        lengths = queries.mask.sum(1)
        return scoring.in_chunks(score, query_idx, product_idx, lengths, _PAIRS)
