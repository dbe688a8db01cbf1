"""What training draws its batches from: clicked pairs, with their words looked up once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from shopsight.batches.batch import Tokens
from shopsight.config import NegativesConfig, NegativesFrom
from shopsight.data.dataset import PreparedData
from shopsight.data.region_store import packed_ranges
from shopsight.errors import DataError
from shopsight.negatives.groups import QueryGroups
from shopsight.negatives.sampler import NegativeSampler
from shopsight.text.vocabulary import Vocabulary
from shopsight.types import BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class TokenLists:
    """Lists of token ids, packed.

    Attributes:
        ids: (n,) int64, all lists laid end to end.
        offsets: (L + 1,) list ``i`` is ``offsets[i]:offsets[i + 1]``.
        pad: the id that fills short rows of a block.
    """

    ids: IntArray
    offsets: IntArray
    pad: int

    @classmethod
    def of(cls, lists: Sequence[Sequence[int]], pad: int) -> TokenLists:
        """Pack lists."""
        sizes = np.fromiter(map(len, lists), np.int64, len(lists))
        ids = np.fromiter((i for one in lists for i in one), np.int64, int(sizes.sum()))
        return cls(ids, np.append(0, np.cumsum(sizes)), pad)

    def block(self, rows: IntArray) -> Tokens:
        """Some lists as a padded block.

        >>> TokenLists.of([[7], [8, 9]], pad=0).block(np.array([1, 0])).ids.tolist()
        [[8, 9], [7, 0]]
        """
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
        ids = np.full(mask.shape, self.pad, np.int64)
        ids[mask] = self.ids[packed_ranges(starts, lengths)]
        return Tokens(torch.from_numpy(ids), torch.from_numpy(mask))


@dataclass(frozen=True, eq=False)
class ClickedPairs:
    """N clicked pairs whose queries have words.

    Queries are known by their distinct text here (see `shopsight.negatives.groups`).

    Attributes:
        queries: (N,) query of each pair.
        texts: (N,) its text, 0 to U - 1.
        products: (N,) its product, 0 to P - 1.
        tokens: of each of the U texts.
        groups: which texts are like which.
    """

    queries: IntArray
    texts: IntArray
    products: IntArray
    tokens: TokenLists
    groups: QueryGroups

    @classmethod
    def of(cls, data: PreparedData, vocabulary: Vocabulary, groups: QueryGroups) -> ClickedPairs:
        """The pairs of the training split, but those whose query is function words only.

        Raises:
            DataError: no pair is left.
        """
        pairs, table = data.pairs(), data.queries("train")
        lists = vocabulary.encode([table.texts[i] for i in groups.query])
        texts = groups.text[pairs.queries].astype(np.int64)
        kept = _with_content(lists, vocabulary)[texts]
        if not kept.any():
            raise DataError(f"{data.path}: no training query has a word to learn from")
        tokens = TokenLists.of(lists, vocabulary.pad)
        return cls(pairs.queries[kept], texts[kept], pairs.products[kept], tokens, groups)

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def product_words(self) -> TokenLists:
        """Every distinct token of the queries that each product was clicked for, ascending."""
        count = len(self.tokens.offsets) - 1
        products, texts = np.divmod(np.unique(self.products * count + self.texts), count)
        starts = self.tokens.offsets[texts]
        lengths = self.tokens.offsets[texts + 1] - starts
        width = int(self.tokens.ids.max()) + 1
        ids = self.tokens.ids[packed_ranges(starts, lengths)]
        keys = np.repeat(products, lengths) * width + ids
        keys.sort()
        keys = keys[np.diff(keys, prepend=-1) > 0]
        sizes = np.bincount(keys // width, minlength=int(self.products.max()) + 1)
        return TokenLists(keys % width, np.append(0, np.cumsum(sizes)), self.tokens.pad)

    def sampler(self, source: NegativesFrom, config: NegativesConfig) -> NegativeSampler:
        """Hard negatives of these pairs, or random ones."""
        if source != "random":
            return NegativeSampler(self.groups, self.queries, self.products, config, source)
        alike = replace(self.groups, last_word=np.zeros_like(self.groups.last_word))
        always = replace(config, last_word_fraction=1.0)
        return NegativeSampler(alike, self.queries, self.products, always)


def _with_content(lists: Sequence[Sequence[int]], vocabulary: Vocabulary) -> BoolArray:
    """(U,) whether a text has a token that is neither unknown nor a function word."""
    empty = {place for place, token in enumerate(vocabulary.tokens) if token in vocabulary.stop}
    empty.add(vocabulary.unk)
    return np.fromiter((not empty.issuperset(one) for one in lists), bool, len(lists))
