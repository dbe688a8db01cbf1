"""The nouns everything else is a verb on: boxes, pools, runs and qrels.

Ids are strings at every border. The ragged arrays here are packed: the candidates of query
``i`` are the slice ``offsets[i]:offsets[i + 1]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
IdArray = NDArray[np.object_]
AnyArray = NDArray[Any]


class Box(NamedTuple):
    """A region's rectangle, from the photo's top left corner: pixels, or shares of its sides."""

    top: float
    left: float
    bottom: float
    right: float


@dataclass(frozen=True, eq=False)
class Pools:
    """The candidate products of each query, Q queries and N candidates in all.

    Attributes:
        query_ids: (Q,) distinct query ids, in the order of the file.
        offsets: (Q + 1,) the candidates of query ``i`` are ``offsets[i]:offsets[i + 1]``.
        product_ids: (N,) object array of strings.
    """

    query_ids: tuple[str, ...]
    offsets: IntArray
    product_ids: IdArray

    @classmethod
    def from_dict(cls, pools: Mapping[str, Iterable[str]]) -> Pools:
        """Build from ``{query id: product ids}``, keeping the order."""
        lists = [list(products) for products in pools.values()]
        offsets = np.zeros(len(lists) + 1, np.int64)
        np.cumsum([len(one) for one in lists], out=offsets[1:])
        products = np.empty(offsets[-1], object)
        products[:] = [product for one in lists for product in one]
        return cls(tuple(pools), offsets, products)

    @cached_property
    def sizes(self) -> IntArray:
        """(Q,) how many candidates each query has."""
        return np.diff(self.offsets)

    @cached_property
    def query_idx(self) -> IntArray:
        """(N,) which query, 0 to Q - 1, each candidate belongs to."""
        return np.repeat(np.arange(len(self.query_ids)), self.sizes)

    @cached_property
    def id_rank(self) -> IntArray:
        """(N,) place of each product id among the distinct ids in ascending string order."""
        place = {product: i for i, product in enumerate(sorted(set(self.product_ids)))}
        return np.fromiter((place[p] for p in self.product_ids), np.int64, len(self.product_ids))

    @cached_property
    def by_id_descending(self) -> IntArray:
        """(N,) positions of the candidates, query by query, product ids descending."""
        return np.lexsort((-self.id_rank, self.query_idx))

    def of(self, query_id: str) -> list[str]:
        """The candidates of one query. Raises KeyError for a query that is not here."""
        i = self._place[query_id]
        return list(self.product_ids[self.offsets[i] : self.offsets[i + 1]])

    @cached_property
    def _place(self) -> dict[str, int]:
        return {query: i for i, query in enumerate(self.query_ids)}

    def __len__(self) -> int:
        return len(self.query_ids)


@dataclass(frozen=True, eq=False)
class Run:
    """The scores of one system: candidates and one finite score for each, higher is better.

    The order of the candidates inside ``pools`` means nothing; `order` gives the ranking.

    Attributes:
        pools: the candidates that were scored.
        scores: (N,) float64, aligned with ``pools.product_ids``.
        name: what tables call it.
    """

    pools: Pools
    scores: FloatArray
    name: str = "run"

    @classmethod
    def from_dict(cls, scores: Mapping[str, Mapping[str, float]], name: str = "run") -> Run:
        """Build from ``{query id: {product id: score}}``.

        >>> Run.from_dict({"q1": {"a": 0.5, "b": 2.0}}).pools.of("q1")
        ['a', 'b']
        """
        flat = [score for row in scores.values() for score in row.values()]
        return cls(Pools.from_dict(scores), np.asarray(flat, np.float64), name)

    @cached_property
    def order(self) -> IntArray:
        """(N,) positions of the candidates, query by query, best first.

        The one total order of shopsight, which is trec_eval's: higher scores first, and of
        equal scores the product id that is greater as a string ("b" before "a", "9" before
        "10").

        >>> run = Run.from_dict({"q1": {"10": 1.0, "9": 1.0, "7": 2.0}})
        >>> [str(product) for product in run.pools.product_ids[run.order]]
        ['7', '9', '10']
        """
        by_id = self.pools.by_id_descending
        keys = -self.scores[by_id]
        widest = int(self.pools.sizes.max(initial=0))
        if len(self) * widest > 4 * len(keys):  # very uneven pools: padding would cost more
            order: IntArray = by_id[np.lexsort((keys, self.pools.query_idx))]
            return order
        real = np.arange(widest) < self.pools.sizes[:, None]
        padded = np.full(real.shape, np.inf)  # (Q, widest)
        padded[real] = keys
        within = np.argsort(padded, axis=1, kind="stable")[real]
        return by_id[within + np.repeat(self.pools.offsets[:-1], self.pools.sizes)]

    def with_scores(self, scores: FloatArray, name: str | None = None) -> Run:
        """The same candidates with other scores."""
        return Run(self.pools, scores, name or self.name)

    def __len__(self) -> int:
        return len(self.pools)


@dataclass(frozen=True)
class Qrels:
    """Judgements: which products are relevant to a query, and how much.

    Attributes:
        relevance: ``{query id: {product id: grade}}``; a grade above 0 is relevant, and a
            product that is not listed has grade 0.
    """

    relevance: Mapping[str, Mapping[str, int]]

    def __len__(self) -> int:
        return len(self.relevance)
