"""Ranks, top-k and alignment of runs.

shopsight ranks by a single total order (`Run.order`), the one of trec_eval, so that its scores
equal trec_eval's: **score descending, then product id descending as a string** ("b" before "a",
"9" before "10"). Equal runs therefore rank equally, whatever the order of the lines in their files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shopsight.types import AnyArray, BoolArray, FloatArray, IntArray, Pools, Run


def ranks(run: Run) -> IntArray:
    """(N,) rank of each candidate in its query, from 1.

    >>> ranks(Run.from_dict({"q": {"a": 0.1, "b": 0.9}, "r": {"a": 1.0}})).tolist()
    [2, 1, 1]
    """
    result = np.empty(len(run.scores), np.int64)
    result[run.order] = np.arange(len(result)) - np.repeat(run.pools.offsets[:-1], run.pools.sizes)
    return result + 1


def group_starts(*keys: AnyArray) -> BoolArray:
    """(N,) mask of the positions where a new group begins: any of the (N,) sorted keys changes.

    >>> group_starts(np.array([1, 1, 2, 2]), np.array([5, 5, 5, 6])).tolist()
    [True, False, True, True]
    """
    starts = np.ones(len(keys[0]), bool)
    starts[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return starts


def lowest_scores(pools: Pools, scores: FloatArray, mask: Any = slice(None)) -> FloatArray:
    """(Q,) lowest score of the candidates of each query inside a mask; 0 where there is none."""
    lowest: FloatArray = np.full(len(pools), np.inf)
    np.minimum.at(lowest, pools.query_idx[mask], scores[mask])
    return np.where(np.isinf(lowest), 0.0, lowest)


def top_k(run: Run, k: int | None = None) -> dict[str, list[str]]:
    """The best ``k`` products of each query (default: all), best first.

    >>> top_k(Run.from_dict({"q": {"a": 0.1, "b": 0.9, "c": 0.9}}), 2)
    {'q': ['c', 'b']}
    """
    return {query: list(scores)[:k] for query, scores in run.to_dict().items()}


@dataclass(frozen=True, eq=False)
class Aligned:
    """Runs over the same candidates, which share one ``pools`` object.

    ``filled`` counts the (query, product) pairs that each run lacked; they received its lowest
    score of the query (0 if it does not score the query at all).
    """

    runs: tuple[Run, ...]
    filled: tuple[int, ...]


def align(runs: Sequence[Run]) -> Aligned:
    """Extend runs to the union of their candidates.

    >>> first = Run.from_dict({"q": {"a": 0.3, "b": 0.9}})
    >>> second = Run.from_dict({"q": {"c": 5.0, "a": 7.0}})
    >>> aligned = align([first, second])
    >>> [run.scores.tolist() for run in aligned.runs], aligned.filled
    ([[0.3, 0.9, 0.3], [7.0, 5.0, 5.0]], (1, 1))
    """
    if all(run.pools is runs[0].pools for run in runs):
        return Aligned(tuple(runs), (0,) * len(runs))
    queries = tuple(dict.fromkeys(query for run in runs for query in run.pools.query_ids))
    products = list(dict.fromkeys(p for run in runs for p in run.pools.product_ids.tolist()))
    keys = _pair_keys(runs, queries, products)
    union = np.unique(np.concatenate([*keys, np.empty(0, np.int64)]))
    query_idx, product_idx = np.divmod(union, max(len(products), 1))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(query_idx, minlength=len(queries)))])
    # The None at the end keeps numpy from turning ids of equal length into a string array.
    pools = Pools(queries, offsets, np.array([*products, None], object)[product_idx])
    filled = [_filled(run, key, union, pools) for run, key in zip(runs, keys, strict=True)]
    return Aligned(tuple(filled), tuple(len(union) - len(key) for key in keys))


def _pair_keys(
    runs: Sequence[Run], queries: Sequence[str], products: Sequence[str]
) -> list[IntArray]:
    """For each run, (N,) one integer key per (query, product) pair."""
    query_number = {query: i for i, query in enumerate(queries)}
    product_number = {product: i for i, product in enumerate(products)}
    keys = []
    for run in runs:
        query = np.array([query_number[query] for query in run.pools.query_ids], np.int64)
        product = [product_number[product] for product in run.pools.product_ids.tolist()]
        keys.append(query[run.pools.query_idx] * len(products) + np.array(product, np.int64))
    return keys


def _filled(run: Run, keys: IntArray, union: IntArray, pools: Pools) -> Run:
    scores = np.full(len(union), np.nan)
    scores[np.searchsorted(union, keys)] = run.scores
    missing = np.isnan(scores)
    scores[missing] = lowest_scores(pools, scores, ~missing)[pools.query_idx[missing]]
    return Run(pools, scores, run.name)
