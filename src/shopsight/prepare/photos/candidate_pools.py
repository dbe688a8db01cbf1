"""Candidate pools: relevant products among others of the same kind, of the same colour, or any.

Every candidate product appears in the same number of pools, so that the number of its pools
carries no information about relevance. Pools built around their answers leak exactly that;
`shopsight audit` detects it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shopsight.config import QueryGenerationConfig
from shopsight.prepare.photos.product_words import ProductWords
from shopsight.prepare.photos.splits import EvalQuery
from shopsight.types import IntArray

_SAME_HEAD, _SAME_WORD = 0.4, 0.3  # fractions of the candidates that are not relevant
# Fewer pools per product would leave some pools short of candidates at the end; more would
# repeat the same few products although the split has others.
_LEAST_POOLS = 4


@dataclass(frozen=True, eq=False)
class Pool:
    """The candidates of one query: the relevant ones, and all of them in random order."""

    query: EvalQuery
    relevant: IntArray
    candidates: IntArray


def build_pools(
    queries: Sequence[EvalQuery],
    products: IntArray,
    words: ProductWords,
    config: QueryGenerationConfig,
    rng: np.random.Generator,
) -> list[Pool]:
    """The pools of an evaluation split with (n,) ``products``.

    A query is left out if all its relevant products already appear in enough pools.
    """
    if not queries or not len(products):
        return []
    if len(products) <= config.pool_size:  # with the whole split as candidates nothing can leak
        return [_whole_split(query, products, rng) for query in queries]
    pools_per_product = max(len(queries) * config.pool_size // len(products), _LEAST_POOLS)
    limit = min(pools_per_product, len(queries))
    kept = _draw_relevant(queries, products, limit, config.relevant, rng)
    quota = _PoolQuota(products, kept, config.pool_size, rng)
    pools: dict[int, Pool] = {}
    # Random order: the last pools take the leftovers, and that must not depend on the query.
    for i in rng.permutation(len(kept)).tolist():
        query, relevant = kept[i]
        head = words.head_noun(query.key)
        other_words = [words.with_word(word) for word in query.key if word != head]
        similar = [sorted(words.with_word(head)), sorted(set().union(*other_words))]
        others = _draw_others(query, quota, quota.sizes[i] - len(relevant), similar, rng)
        pools[i] = Pool(query, relevant, rng.permutation(np.concatenate([relevant, others])))
    _balance(pools, quota)
    return [pools[i] for i in range(len(kept))]


class _PoolQuota:
    """The number of further pools each product may appear in.

    ``left`` is that number by product, negative for a product used too often; ``sizes`` are
    numbers of candidates of the pools.
    """

    def __init__(
        self,
        products: IntArray,
        kept: list[tuple[EvalQuery, IntArray]],
        pool_size: int,
        rng: np.random.Generator,
    ) -> None:
        used = np.zeros(int(products.max()) + 1, np.int64)
        for _, relevant in kept:
            used[relevant] += 1
        total = len(kept) * pool_size
        count = max(total // max(total // len(products), _LEAST_POOLS), int((used > 0).sum()))
        per_product = max(total // min(count, len(products)), int(used.max()))
        order = rng.permutation(products)
        # Relevant products first: all of them must be candidates, others fill up.
        order = order[np.argsort(used[order] == 0, kind="stable")]
        self.products = order[:count]
        self.left = np.zeros(len(used), np.int64)
        self.left[self.products] = per_product
        self.left -= used
        size, remainder = divmod(per_product * len(self.products), len(kept))
        sizes = [size + (i < remainder) for i in range(len(kept))]
        self.sizes = [min(size, len(self.products)) for size in sizes]


def _whole_split(query: EvalQuery, products: IntArray, rng: np.random.Generator) -> Pool:
    unsure = query.excluded - query.relevant
    candidates = [product for product in products.tolist() if product not in unsure]
    relevant = np.array(sorted(query.relevant), np.int64)
    return Pool(query, relevant, rng.permutation(np.array(candidates, np.int64)))


def _draw_relevant(
    queries: Sequence[EvalQuery],
    products: IntArray,
    limit: int,
    most: int,
    rng: np.random.Generator,
) -> list[tuple[EvalQuery, IntArray]]:
    """Each query with up to ``most`` relevant products that are in fewer than ``limit`` pools."""
    left = np.zeros(int(products.max()) + 1, np.int64)
    left[products] = limit
    kept = []
    for query in queries:
        relevant = np.array(sorted(query.relevant), np.int64)
        relevant = rng.permutation(relevant[left[relevant] > 0])[:most]
        if len(relevant):
            left[relevant] -= 1
            kept.append((query, relevant))
    return kept


def _draw_others(
    query: EvalQuery,
    quota: _PoolQuota,
    count: int,
    similar: list[list[int]],
    rng: np.random.Generator,
) -> IntArray:
    """Products with the same head noun, with another word, then those with the most quota left."""
    allowed = np.zeros(len(quota.left), bool)
    allowed[quota.products] = True
    allowed[list(query.excluded)] = False
    chosen: list[int] = []

    def take(products: IntArray, most: int) -> None:
        taken = products[: max(0, min(most, count - len(chosen)))]
        chosen.extend(taken.tolist())
        allowed[taken] = False
        quota.left[taken] -= 1

    for alike, fraction in zip(similar, (_SAME_HEAD, _SAME_WORD), strict=True):
        usable = [product for product in alike if product < len(allowed) and allowed[product]]
        drawn = rng.permutation(np.array(usable, np.int64))
        take(drawn[quota.left[drawn] > 0], round(count * fraction))
    rest = rng.permutation(np.flatnonzero(allowed))
    take(rest[np.argsort(-quota.left[rest], kind="stable")], count)
    return np.array(chosen, np.int64)


def _balance(pools: dict[int, Pool], quota: _PoolQuota) -> None:
    """Balance the number of pools per product.

    The last pools take whatever is left, which may be excluded from them; so a product that
    appears in too many pools gives way to one that appears in too few.
    """
    for needed in np.flatnonzero(quota.left > 0).tolist():
        for pool in pools.values():
            if quota.left[needed] <= 0:
                break
            if needed in pool.query.excluded or needed in pool.candidates:
                continue
            replaceable = ~np.isin(pool.candidates, pool.relevant)
            surplus = np.flatnonzero((quota.left[pool.candidates] < 0) & replaceable)
            if len(surplus):
                quota.left[pool.candidates[surplus[0]]] += 1
                quota.left[needed] -= 1
                pool.candidates[surplus[0]] = needed
