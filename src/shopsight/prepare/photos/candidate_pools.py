"""Candidate pools: relevant products among others of the same kind, of the same colour, or any.

Every product that is a candidate at all stands in the same number of pools, so that the number
of its pools says nothing about its relevance; in pools that are made around their answers it
does, and `shopsight audit` finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from shopsight.config import QueryGenerationConfig
from shopsight.prepare.photos.splits import Question
from shopsight.types import IntArray

_SAME_HEAD, _SAME_WORD = 0.4, 0.3  # shares of the candidates that are not relevant
_FEWEST_PLACES = 4  # pools a product stands in, where there are more products than that takes

Having = Callable[[str], set[int]]
"""The products that have a word."""
HeadOf = Callable[[Sequence[str]], str]
"""Which of a query's words says what kind of thing is asked for."""


@dataclass(frozen=True, eq=False)
class Pool:
    """The candidates of one query.

    Attributes:
        question: the query.
        relevant: relevant candidates.
        candidates: all candidates, in random order.
    """

    question: Question
    relevant: IntArray
    candidates: IntArray


def build_pools(
    questions: Sequence[Question],
    products: IntArray,
    having: Having,
    head_of: HeadOf,
    config: QueryGenerationConfig,
    rng: np.random.Generator,
) -> list[Pool]:
    """The pools of an evaluation split; a query none of whose products has a place is left out.

    Args:
        questions: its queries.
        products: its products.
        having: the products that have a word, as a singular.
        head_of: the word that says what kind of thing a query asks for.
        config: how large pools are.
        rng: draws.
    """
    if not questions or not len(products):
        return []
    if len(products) <= config.pool_size:  # everything is a candidate, and tells nothing
        return [_everything(one, products, rng) for one in questions]
    places = max(len(questions) * config.pool_size // len(products), _FEWEST_PLACES)
    asked = _relevant(questions, products, min(places, len(questions)), config.relevant, rng)
    free = _Places(products, asked, config.pool_size, rng)
    pools: dict[int, Pool] = {}
    for i in rng.permutation(len(asked)).tolist():
        question, relevant = asked[i]
        count = free.size_of(i) - len(relevant)
        head = head_of(question.key)
        rest = [word for word in question.key if word != head]
        kinds = [_with_any([head], having), _with_any(rest, having)]
        others = _others(question, free, count, kinds, rng)
        pools[i] = Pool(question, relevant, rng.permutation(np.concatenate([relevant, others])))
    _even_out(pools, free)
    return [pools[i] for i in range(len(asked))]


def _even_out(pools: dict[int, Pool], free: _Places) -> None:
    """Where a product stands in too many pools and another in too few, let one give way.

    The last pools to be filled take what is left, and what is left may not fit them.
    """
    for needed in np.flatnonzero(free.left > 0).tolist():
        for pool in pools.values():
            if free.left[needed] <= 0:
                break
            if needed in pool.question.excluded or needed in pool.candidates:
                continue
            replaceable = ~np.isin(pool.candidates, pool.relevant)
            surplus = np.flatnonzero((free.left[pool.candidates] < 0) & replaceable)
            if len(surplus):
                free.left[pool.candidates[surplus[0]]] += 1
                free.left[needed] -= 1
                pool.candidates[surplus[0]] = needed


class _Places:
    """How many pools each product may still stand in."""

    def __init__(
        self,
        products: IntArray,
        asked: list[tuple[Question, IntArray]],
        size: int,
        rng: np.random.Generator,
    ) -> None:
        used = np.zeros(int(products.max()) + 1, np.int64)
        for _, relevant in asked:
            used[relevant] += 1
        total = len(asked) * size
        count = max(total // max(total // len(products), _FEWEST_PLACES), int((used > 0).sum()))
        each = max(total // min(count, len(products)), int(used.max()))
        first = rng.permutation(products)
        first = first[np.argsort(used[first] == 0, kind="stable")]  # relevant ones are candidates
        self.products = first[:count]
        self.left = np.zeros(len(used), np.int64)
        self.left[self.products] = each
        self.left -= used
        self._sizes = np.full(len(asked), each * len(self.products) // len(asked))
        self._sizes[: each * len(self.products) % len(asked)] += 1
        self._sizes = np.minimum(self._sizes, len(self.products))

    def size_of(self, pool: int) -> int:
        return int(self._sizes[pool])


def _everything(question: Question, products: IntArray, rng: np.random.Generator) -> Pool:
    unsure = question.excluded - question.relevant
    candidates = [one for one in products.tolist() if one not in unsure]
    relevant = np.array(sorted(question.relevant), np.int64)
    return Pool(question, relevant, rng.permutation(np.array(candidates, np.int64)))


def _relevant(
    questions: Sequence[Question],
    products: IntArray,
    places: int,
    most: int,
    rng: np.random.Generator,
) -> list[tuple[Question, IntArray]]:
    """Each query with some relevant products that have a place in another pool yet."""
    free = np.zeros(int(products.max()) + 1, np.int64)
    free[products] = places
    asked = []
    for question in questions:
        found = np.array(sorted(question.relevant), np.int64)
        found = rng.permutation(found[free[found] > 0])[:most]
        if len(found):
            free[found] -= 1
            asked.append((question, found))
    return asked


def _others(
    question: Question,
    free: _Places,
    count: int,
    kinds: list[list[int]],
    rng: np.random.Generator,
) -> IntArray:
    """Products of the same kind, that share another word, or any with the most places left."""
    allowed = np.zeros(len(free.left), bool)
    allowed[free.products] = True
    allowed[list(question.excluded)] = False
    chosen: list[int] = []

    def take(these: IntArray, most: int) -> None:
        taken = these[: max(0, min(most, count - len(chosen)))]
        chosen.extend(taken.tolist())
        allowed[taken] = False
        free.left[taken] -= 1

    for same, share in zip(kinds, (_SAME_HEAD, _SAME_WORD), strict=True):
        with_place = [one for one in same if one < len(allowed) and allowed[one]]
        found = rng.permutation(np.array(with_place, np.int64))
        take(found[free.left[found] > 0], round(count * share))
    rest = rng.permutation(np.flatnonzero(allowed))
    take(rest[np.argsort(-free.left[rest], kind="stable")], count)
    return np.array(chosen, np.int64)


def _with_any(words: Sequence[str], having: Having) -> list[int]:
    return sorted(set().union(*map(having, words)))
