"""Which split each product is in, and which queries each evaluation split asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xxhash

from shopsight.config import QueryGenerationConfig
from shopsight.data.split_names import TRAIN
from shopsight.errors import pluralise
from shopsight.prepare.photos.columns import split_of
from shopsight.prepare.photos.product_words import key_of
from shopsight.types import IntArray

EVALUATION = ("valid", "testA", "testB")
SPLITS = (TRAIN, *EVALUATION)
NONE = len(SPLITS)
"""The number of products that are in no split."""


@dataclass(frozen=True)
class Asked:
    """A query that products were found with.

    Attributes:
        text: as it was typed.
        products: the products, in order of clicks and then of the table.
    """

    text: str
    products: list[int]


@dataclass(frozen=True)
class Question:
    """A query of an evaluation split.

    Attributes:
        text: as it was typed.
        key: its words, see `key_of`.
        relevant: all relevant products of the split.
        excluded: products that are no candidates, since they may be relevant too.
    """

    text: str
    key: tuple[str, ...]
    relevant: frozenset[int]
    excluded: frozenset[int]


def drawn_splits(
    ids: Sequence[str], photos: Sequence[bytes], config: QueryGenerationConfig, seed: int
) -> IntArray:
    """(P,) places in `SPLITS`, drawn by what the photo is: the same photo is in one split only.

    Args:
        ids: of the products.
        photos: a digest of the photo of each; nothing where it has none.
        config: how large the splits are.
        seed: of the draw.
    """
    found = np.zeros(len(ids), np.int64)
    valid, test = config.valid_fraction, config.valid_fraction + config.test_fraction
    for place, (product_id, photo) in enumerate(zip(ids, photos, strict=True)):
        share = xxhash.xxh3_64_intdigest(photo or product_id.encode(), seed) / 2**64
        found[place] = 1 if share < valid else 2 if share < test else 0
    return found


def given_splits(written: Sequence[str], warnings: list[str]) -> IntArray:
    """(P,) places in `SPLITS` of the splits as the table names them; others are in none."""
    names = [split_of(one) for one in written]
    other = Counter(name for name in names if name not in SPLITS)
    for name, count in sorted(other.items()):
        products = pluralise(count, "product")
        verb = "is" if count == 1 else "are"
        warnings.append(f"{products} of split '{name}' {verb} stored, and in no split")
    return np.array([SPLITS.index(one) if one in SPLITS else NONE for one in names], np.int64)


def count_shared_photos(splits: IntArray, photos: Sequence[bytes], warnings: list[str]) -> None:
    """Warn of photos that stand in more than one split."""
    where: dict[bytes, set[int]] = {}
    for split, photo in zip(splits.tolist(), photos, strict=True):
        if photo and split != NONE:
            where.setdefault(photo, set()).add(split)
    shared = sum(len(found) > 1 for found in where.values())
    if shared:
        photos_of = pluralise(shared, "photo")
        warnings.append(f"{photos_of} of more than one split, as the table has it")


class Questions:
    """Chooses the queries of evaluation splits, each query for one split at most.

    Args:
        asked: every query of the catalogue.
        splits: (P,) the split of each product.
        satisfies: all products with the words of a query.
        by_text: whether these are what is relevant; else the products it was asked for.
        config: how many queries, and how large pools are.
        seed: of the choice.

    Attributes:
        taken: keys of the queries that are chosen.
    """

    def __init__(
        self,
        asked: Sequence[Asked],
        splits: IntArray,
        satisfies: Callable[[Iterable[str]], set[int]],
        by_text: bool,
        config: QueryGenerationConfig,
        seed: int,
    ) -> None:
        self._asked, self._splits, self._satisfies = asked, splits, satisfies
        self._by_text, self._config, self._seed = by_text, config, seed
        self.taken: set[tuple[str, ...]] = set()

    def of(self, split: int) -> list[Question]:
        """The queries of a split, and take them."""
        most = min(self._config.eval_queries, int((self._splits == split).sum()))
        chosen: list[Question] = []
        broad: list[Question] = []  # relevant to very many: asked only if there are too few others
        for question in self._candidates(split):
            if len(chosen) == most:
                break
            is_broad = len(question.relevant) > _BROAD * self._config.relevant
            (broad if is_broad else chosen).append(question)
        chosen += broad[: most - len(chosen)]
        self.taken |= {one.key for one in chosen}
        return chosen

    def _candidates(self, split: int) -> Iterator[Question]:
        """Queries with a relevant product in the split, in drawn order, each key once."""
        seen = set(self.taken)
        order = sorted(
            range(len(self._asked)),
            key=lambda i: (_digest(self._asked[i].text, self._seed + split), i),
        )
        for asked in map(self._asked.__getitem__, order):
            here = [one for one in asked.products if self._splits[one] == split]
            key = key_of(asked.text)
            if here and key not in seen:
                seen.add(key)
                yield self._question(asked.text, key, here, split)

    def _question(self, text: str, key: tuple[str, ...], here: list[int], split: int) -> Question:
        alike = frozenset(one for one in self._satisfies(key) if self._splits[one] == split)
        relevant = frozenset(here) | alike if self._by_text else frozenset(here)
        return Question(text, key, relevant, relevant | alike)


_BROAD = 4


def _digest(text: str, seed: int) -> int:
    return xxhash.xxh3_64_intdigest(text.encode(), seed)
