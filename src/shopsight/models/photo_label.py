"""Photo label: the words that the region extractor was trained with, as a ranking model.

The extractor learned to predict a product's words from the pixels (`shopsight.regions`). Its word
head is copied from the prepared folder: there is nothing left to train, and no other model of an
ensemble makes its errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from shopsight.batches.batch import Regions, Tokens
from shopsight.config.matching import PhotoLabelConfig
from shopsight.models.base import Encodings
from shopsight.models.registry import ModelInputs
from shopsight.regions.word_head import WordHead
from shopsight.text import wordpiece
from shopsight.text.normalise import singular


@dataclass(frozen=True, eq=False)
class PhotoLabelQueries(Encodings):
    """Queries: (Q, T) labels of the words, and the (Q, T) mask of words that are labels."""

    labels: Tensor
    mask: Tensor


@dataclass(frozen=True, eq=False)
class PhotoLabelProducts(Encodings):
    """Products: (P, L) log probabilities of the labels."""

    logs: Tensor


class PhotoLabel(nn.Module):
    """A word head on the first region of each product, which is the whole photo.

    The buffer ``labels`` (V,) holds the label of each token, -1 if it has none; ``continues`` (V,)
    is True for tokens that continue a word.
    """

    labels: Tensor
    continues: Tensor

    def __init__(self, head: WordHead, labels: Tensor, continues: Tensor) -> None:
        super().__init__()
        self.head = head
        self.register_buffer("labels", labels)
        self.register_buffer("continues", continues)

    @classmethod
    def build(cls, config: PhotoLabelConfig, inputs: ModelInputs) -> Self:  # noqa: ARG003
        """The word head of the prepared folder, or an empty one of the saved sizes."""
        tokens = inputs.vocabulary.tokens
        if inputs.folder is None:
            shapes = [s for name, s in inputs.shapes.items() if name.endswith(".weight")]
            head = WordHead([""] * shapes[0][0], [width for _, width in shapes])
        else:
            head = WordHead.load(inputs.folder / "extractor")
        column = {word: i for i, word in enumerate(head.words)}
        stems = {_stem(word): i for word, i in column.items()}
        labels = [column.get(singular(token), stems.get(_stem(token), -1)) for token in tokens]
        continues = [token.startswith(wordpiece.PREFIX) for token in tokens]
        return cls(head, torch.tensor(labels), torch.tensor(continues))

    def encode_products(self, regions: Regions) -> PhotoLabelProducts:
        """Encodings of B products."""
        first = regions.lengths.cumsum(0) - regions.lengths
        return PhotoLabelProducts(self.head(regions.features[first]))

    def encode_queries(self, tokens: Tokens) -> PhotoLabelQueries:
        """Encodings of B queries. The pieces of a word that is not a token have no labels."""
        labels, pieces = self.labels[tokens.ids], self.continues[tokens.ids] & tokens.mask
        # The first piece of a word does not show that the word continues: the next one does.
        broken = pieces | pieces.roll(-1, 1)
        mask = tokens.mask & (labels >= 0) & ~broken
        return PhotoLabelQueries(labels.clamp(min=0), mask)

    def score_pairs(
        self,
        queries: PhotoLabelQueries,
        products: PhotoLabelProducts,
        query_idx: Tensor,
        product_idx: Tensor,
    ) -> Tensor:
        """(N,) mean log probability of the query's words that are labels; 0 without any."""
        mask = queries.mask[query_idx]
        logs = products.logs[product_idx[:, None], queries.labels[query_idx]]
        return (logs * mask).sum(1) / mask.sum(1).clamp(min=1)


def _stem(word: str) -> str:
    """What the plurals of a vocabulary ("ladi" for "ladies") and of labels have in common.

    >>> [_stem(word) for word in ("ladies", "ladie", "ladi", "dresses", "dress", "capris")]
    ['ladi', 'ladi', 'ladi', 'dress', 'dress', 'capri']
    """
    bare = word if word.endswith("ss") else word.removesuffix("s")
    return bare.removesuffix("e")
