"""Assignment of products to splits, and selection of the queries of each evaluation split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xxhash

from shopsight.config import QueryGenerationConfig
from shopsight.data.split_names import TRAIN
from shopsight.errors import pluralise
from shopsight.prepare.photos.columns import canonical_split
from shopsight.prepare.photos.product_words import ProductWords, query_key
from shopsight.types import IntArray

EVALUATION = ("valid", "testA", "testB")
SPLITS = (TRAIN, *EVALUATION)
NO_SPLIT = len(SPLITS)
"""The split index of products that belong to no split."""
_BROAD = 4


@dataclass(frozen=True)
class ProductQuery:
    """A query with its products, in order of clicks and then of the table."""

    text: str
    products: list[int]


@dataclass(frozen=True)
class EvalQuery:
    """A query of an evaluation split; ``excluded`` may be relevant too and are left out."""

    text: str
    key: tuple[str, ...]  # see `query_key`
    relevant: frozenset[int]
    excluded: frozenset[int]


def draw_splits(
    ids: Sequence[str], photos: Sequence[bytes], config: QueryGenerationConfig, seed: int
) -> IntArray:
    """(P,) indices into `SPLITS`, drawn by a hash of the photo digest (or id without a photo).

    Hashing instead of a generator makes the split of a product independent of its neighbours in
    the table, and puts all products that share a photo into one split.
    """
    splits = np.zeros(len(ids), np.int64)
    valid, test = config.valid_fraction, config.valid_fraction + config.test_fraction
    for index, (product_id, photo) in enumerate(zip(ids, photos, strict=True)):
        position = xxhash.xxh3_64_intdigest(photo or product_id.encode(), seed) / 2**64
        splits[index] = 1 if position < valid else 2 if position < test else 0
    return splits


def named_splits(written: Sequence[str], warnings: list[str]) -> IntArray:
    """(P,) indices into `SPLITS` of split names from the table; `NO_SPLIT` for other names."""
    names = [canonical_split(name) for name in written]
    other = Counter(name for name in names if name not in SPLITS)
    for name, count in sorted(other.items()):
        products = pluralise(count, "product")
        verb = "belongs" if count == 1 else "belong"
        warnings.append(f"{products} of split '{name}' {verb} to no split of the prepared data")
    index = [SPLITS.index(name) if name in SPLITS else NO_SPLIT for name in names]
    return np.array(index, np.int64)


def warn_of_shared_photos(splits: IntArray, photos: Sequence[bytes], warnings: list[str]) -> None:
    """Append a warning if the table puts one photo into several splits."""
    splits_of: dict[bytes, set[int]] = {}
    for split, photo in zip(splits.tolist(), photos, strict=True):
        if photo and split != NO_SPLIT:
            splits_of.setdefault(photo, set()).add(split)
    shared = sum(len(names) > 1 for names in splits_of.values())
    if shared:
        verb = "appears" if shared == 1 else "appear"
        warnings.append(f"{pluralise(shared, 'photo')} {verb} in more than one split of the table")


class EvalQuerySelector:
    """Selects the queries of evaluation splits; a query is used in one split at most.

    With ``by_text`` every product with all words of a query is relevant. Otherwise only the
    products of the query are, and the others are merely excluded from its pool. ``taken`` are the
    keys of the selected queries.
    """

    def __init__(
        self,
        queries: Sequence[ProductQuery],
        splits: IntArray,
        words: ProductWords,
        by_text: bool,
        config: QueryGenerationConfig,
        seed: int,
    ) -> None:
        self._queries, self._splits, self._words = queries, splits, words
        self._by_text, self._config, self._seed = by_text, config, seed
        self.taken: set[tuple[str, ...]] = set()

    def select(self, split: int) -> list[EvalQuery]:
        """Select and take the queries of a split."""
        most = min(self._config.eval_queries, int((self._splits == split).sum()))
        selected: list[EvalQuery] = []
        # Queries with very many relevant products are easy; they only fill up the rest.
        broad: list[EvalQuery] = []
        for query in self._candidates(split):
            if len(selected) == most:
                break
            is_broad = len(query.relevant) > _BROAD * self._config.relevant
            (broad if is_broad else selected).append(query)
        selected += broad[: most - len(selected)]
        self.taken |= {query.key for query in selected}
        return selected

    def _candidates(self, split: int) -> Iterator[EvalQuery]:
        """Queries with a relevant product in the split, in hash order, each key once."""
        seen = set(self.taken)
        # Ordering by hash keeps the choice stable when queries are added to a log.
        seed = self._seed + split
        for query in sorted(
            self._queries, key=lambda query: xxhash.xxh3_64_intdigest(query.text.encode(), seed)
        ):
            products = [p for p in query.products if self._splits[p] == split]
            key = query_key(query.text)
            if products and key not in seen:
                seen.add(key)
                yield self._eval_query(query.text, key, frozenset(products), split)

    def _eval_query(
        self, text: str, key: tuple[str, ...], products: frozenset[int], split: int
    ) -> EvalQuery:
        matching = frozenset(p for p in self._words.with_all(key) if self._splits[p] == split)
        return EvalQuery(
            text, key, products | matching if self._by_text else products, products | matching
        )
