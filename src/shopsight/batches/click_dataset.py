"""Clicked pairs of the training split, tokenised once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from shopsight.batches.batch import Tokens, pad_packed_tokens
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
    """Packed lists of token ids; list ``i`` is ``ids[offsets[i]:offsets[i + 1]]``."""

    ids: IntArray
    offsets: IntArray
    pad: int

    @classmethod
    def of(cls, lists: Sequence[Sequence[int]], pad: int) -> TokenLists:
        """Pack lists."""
        lengths = np.fromiter(map(len, lists), np.int64, len(lists))
        ids = np.fromiter((i for ids in lists for i in ids), np.int64, int(lengths.sum()))
        return cls(ids, np.append(0, np.cumsum(lengths)), pad)

    def gather(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Token ids of the lists (m,), packed, and (m,) their lengths."""
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        return self.ids[packed_ranges(starts, lengths)], lengths

    def take(self, rows: IntArray) -> TokenLists:
        """The lists (m,), in that order."""
        ids, lengths = self.gather(rows)
        return TokenLists(ids, np.append(0, np.cumsum(lengths)), self.pad)

    def block(self, rows: IntArray) -> Tokens:
        """Padded tokens of the lists (m,).

        >>> TokenLists.of([[7], [8, 9]], pad=0).block(np.array([1, 0])).ids.tolist()
        [[8, 9], [7, 0]]
        """
        return pad_packed_tokens(*self.gather(rows), self.pad)


@dataclass(frozen=True, eq=False)
class ClickedPairs:
    """N clicked pairs of a query and a product.

    Equal queries share one of U distinct texts (see `shopsight.negatives.groups`).
    """

    queries: IntArray  # (N,) query of each pair
    texts: IntArray  # (N,) its text, 0 to U - 1
    products: IntArray  # (N,) its product, 0 to P - 1
    tokens: TokenLists  # of each of the U texts
    groups: QueryGroups

    @classmethod
    def of(cls, data: PreparedData, vocabulary: Vocabulary, groups: QueryGroups) -> ClickedPairs:
        """Pairs of the training split, without queries of function words only.

        Raises:
            DataError: no pair is left.
        """
        pairs, table = data.pairs(), data.queries("train")
        lists = vocabulary.encode([table.texts[i] for i in groups.query])
        texts = groups.text[pairs.queries].astype(np.int64)
        kept = _has_content(lists, vocabulary)[texts]
        if not kept.any():
            raise DataError(f"{data.path}: no training query has a word to learn from")
        tokens = TokenLists.of(lists, vocabulary.pad)
        return cls(pairs.queries[kept], texts[kept], pairs.products[kept], tokens, groups)

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def product_words(self) -> TokenLists:
        """Distinct tokens, ascending, of the queries that each product was clicked for."""
        count = len(self.tokens.offsets) - 1
        products, texts = np.divmod(np.unique(self.products * count + self.texts), count)
        ids, lengths = self.tokens.gather(texts)
        # One int64 key for (product, token) sorts much faster than the two columns.
        width = int(self.tokens.ids.max()) + 1
        keys = np.repeat(products, lengths) * width + ids
        keys.sort()
        keys = keys[np.diff(keys, prepend=-1) > 0]
        sizes = np.bincount(keys // width, minlength=int(self.products.max()) + 1)
        return TokenLists(keys % width, np.append(0, np.cumsum(sizes)), self.tokens.pad)

    def sampler(self, source: NegativesFrom, config: NegativesConfig) -> NegativeSampler:
        """Sampler of hard negatives of these pairs, or of uniform ones for "random"."""
        if source != "random":
            return NegativeSampler(self.groups, self.queries, self.products, config, source)
        # Uniform sampling is drawing from a single group.
        single = replace(self.groups, last_word=np.zeros_like(self.groups.last_word))
        always = replace(config, last_word_fraction=1.0)
        return NegativeSampler(single, self.queries, self.products, always)


def _has_content(lists: Sequence[Sequence[int]], vocabulary: Vocabulary) -> BoolArray:
    """(U,) True for texts with a token that is neither unknown nor a function word."""
    empty = {i for i, token in enumerate(vocabulary.tokens) if token in vocabulary.stop}
    empty.add(vocabulary.unk)
    return np.fromiter((not empty.issuperset(ids) for ids in lists), bool, len(lists))
