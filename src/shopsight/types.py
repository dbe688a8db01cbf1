"""Core data types: boxes, regions, candidate pools, runs and relevance judgements (qrels).

All ids are strings. Ragged arrays are packed: the candidates of query ``i`` are the slice
``offsets[i]:offsets[i + 1]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shopsight.errors import pluralise
from shopsight.tables import Grid, Tabular

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
IdArray = NDArray[np.object_]
AnyArray = NDArray[Any]

_SHOWN = 10  # queries in a table

Progress = Callable[[str, int, int], None]
"""Progress callback: stage, done, total."""


def no_progress(stage: str, done: int, total: int) -> None:
    """No-op progress callback."""


class Box(NamedTuple):
    """A region's rectangle, from the photo's top left corner, in pixels or fractions of a side."""

    top: float
    left: float
    bottom: float
    right: float


Photo = NDArray[np.uint8]
"""(H, W, 3) RGB, 0 to 255."""


@dataclass(frozen=True, eq=False)
class PhotoRegions:
    """The n >= 1 regions of one photo.

    Attributes:
        boxes: (n, 4) float32 photo pixels: top, left, bottom, right.
        features: (n, F) float32, finite and non-negative.
        labels: (n,) int16 indices into the extractor's ``label_names``.
    """

    boxes: NDArray[np.float32]
    features: NDArray[np.float32]
    labels: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.boxes)


@runtime_checkable
class Extractor(Protocol):
    """A deterministic region extractor.

    Attributes:
        name: value of ``--extractor`` that selects it.
        width: feature dimension F, a multiple of 16.
        label_names: names of the region labels.
        in_workers: cheap to pickle into worker processes, which call `extract` with one photo at a
            time; otherwise the main process calls it with batches.
    """

    name: str
    width: int
    label_names: tuple[str, ...]
    in_workers: bool

    def extract(self, photos: Sequence[Photo]) -> list[PhotoRegions]:
        """Regions of photos of any size, in input order."""

    def save(self, folder: Path) -> None:
        """Write settings and weights for `shopsight.regions.load_extractor`."""


@dataclass(frozen=True, eq=False)
class Pools:
    """The candidate products of Q queries, N candidates in all.

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
        candidates = [list(products) for products in pools.values()]
        offsets = np.zeros(len(candidates) + 1, np.int64)
        np.cumsum([len(products) for products in candidates], out=offsets[1:])
        product_ids = np.empty(offsets[-1], object)
        product_ids[:] = [product for products in candidates for product in products]
        return cls(tuple(pools), offsets, product_ids)

    @classmethod
    def from_codes(
        cls, query_ids: tuple[str, ...], query_idx: IntArray, names: list[str], name_idx: IntArray
    ) -> Pools:
        """Build from candidates grouped by query: (N,) index of the query and of the product."""
        offsets = np.zeros(len(query_ids) + 1, np.int64)
        np.cumsum(np.bincount(query_idx, minlength=len(query_ids)), out=offsets[1:])
        # The None at the end keeps numpy from turning ids of equal length into a string array.
        pools = cls(query_ids, offsets, np.array([*names, None], object)[name_idx])
        rank = np.empty(len(names), np.int64)
        rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
        # What `id_rank` would find, without another look at every candidate.
        pools.__dict__["id_rank"] = rank[name_idx]
        return pools

    def to_dict(self) -> dict[str, list[str]]:
        """The pools as ``{query id: product ids}``."""
        return {query: self.of(query) for query in self.query_ids}

    @cached_property
    def sizes(self) -> IntArray:
        """(Q,) number of candidates of each query."""
        return np.diff(self.offsets)

    @cached_property
    def query_idx(self) -> IntArray:
        """(N,) index of each candidate's query, 0 to Q - 1."""
        return np.repeat(np.arange(len(self.query_ids)), self.sizes)

    @cached_property
    def id_rank(self) -> IntArray:
        """(N,) rank of each product id among the distinct ids in ascending string order."""
        rank = {product: i for i, product in enumerate(sorted(set(self.product_ids)))}
        return np.fromiter((rank[p] for p in self.product_ids), np.int64, len(self.product_ids))

    @cached_property
    def by_id_descending(self) -> IntArray:
        """(N,) positions of the candidates, query by query, product ids descending."""
        # A single key sorts faster than two.
        highest = int(self.id_rank.max(initial=0))
        return np.argsort(self.query_idx * (highest + 1) + highest - self.id_rank, kind="stable")

    def of(self, query_id: str) -> list[str]:
        """The candidates of a query. Raises KeyError for an unknown query."""
        query_idx = self._query_positions[query_id]
        return list(self.product_ids[self.offsets[query_idx] : self.offsets[query_idx + 1]])

    @cached_property
    def _query_positions(self) -> dict[str, int]:
        return {query: i for i, query in enumerate(self.query_ids)}

    def __len__(self) -> int:
        return len(self.query_ids)

    def __repr__(self) -> str:
        return f"Pools({_count(self)}, {pluralise(len(self.product_ids), 'candidate')})"


@dataclass(frozen=True, eq=False, repr=False)
class Run(Tabular):
    """A ranking: candidates with one finite score each, higher is better.

    The order of the candidates inside ``pools`` means nothing; `order` gives the ranking.

    Attributes:
        pools: the scored candidates.
        scores: (N,) float64, aligned with ``pools.product_ids``.
        name: the run's name in tables.
    """

    pools: Pools
    scores: FloatArray
    name: str = "run"

    @classmethod
    def from_dict(cls, scores: Mapping[str, Mapping[str, float]], name: str = "run") -> Self:
        """Build from ``{query id: {product id: score}}``.

        >>> Run.from_dict({"q1": {"a": 0.5, "b": 2.0}})
        Run('run', 1 query, 2 candidates)
        """
        flat = [score for row in scores.values() for score in row.values()]
        return cls(Pools.from_dict(scores), np.asarray(flat, np.float64), name)

    def to_dict(self) -> dict[str, dict[str, float]]:
        """The run as ``{query id: {product id: score}}``, best first.

        >>> Run.from_dict({"q1": {"a": 0.5, "b": 2.0}}).to_dict()
        {'q1': {'b': 2.0, 'a': 0.5}}
        """
        products, scores = self.pools.product_ids[self.order].tolist(), self.scores[self.order]
        pairs = list(zip(products, scores.tolist(), strict=True))
        bounds = zip(self.pools.offsets[:-1], self.pools.offsets[1:], strict=True)
        return {
            query: dict(pairs[start:end])
            for query, (start, end) in zip(self.pools.query_ids, bounds, strict=True)
        }

    def records(self) -> list[dict[str, Any]]:
        """A row per candidate, best first: query_id, product_id, score, rank from 1."""
        return [
            {"query_id": query, "product_id": product, "score": score, "rank": rank}
            for query, scores in self.to_dict().items()
            for rank, (product, score) in enumerate(scores.items(), start=1)
        ]

    def grids(self) -> list[Grid]:
        """The best products of the first queries."""
        rows = [
            (query, f"{len(scores):,}", ", ".join(list(scores)[:5]))
            for query, scores in list(self.to_dict().items())[:_SHOWN]
        ]
        return [Grid(("query", "candidates", "best five"), tuple(rows), _more(len(self)))]

    @cached_property
    def order(self) -> IntArray:
        """(N,) positions of the candidates, query by query, best first.

        The total order of trec_eval: higher scores first, and of equal scores the product id
        that is greater as a string ("b" before "a", "9" before "10").

        >>> run = Run.from_dict({"q1": {"10": 1.0, "9": 1.0, "7": 2.0}})
        >>> [str(product) for product in run.pools.product_ids[run.order]]
        ['7', '9', '10']
        """
        by_id = self.pools.by_id_descending
        keys = -self.scores[by_id]
        widest = int(self.pools.sizes.max(initial=0))
        # Sorting padded rows is several times faster than one lexsort over all candidates,
        # unless pools are so uneven that most of the rectangle would be padding.
        if len(self) * widest > 4 * len(keys):
            order: IntArray = by_id[np.lexsort((keys, self.pools.query_idx))]
            return order
        real = np.arange(widest) < self.pools.sizes[:, None]
        padded = np.full(real.shape, np.inf)  # (Q, widest)
        padded[real] = keys
        # A stable sort of candidates in descending id order breaks ties as trec_eval does.
        within = np.argsort(padded, axis=1, kind="stable")[real]
        return by_id[within + np.repeat(self.pools.offsets[:-1], self.pools.sizes)]

    def with_scores(self, scores: FloatArray, name: str | None = None) -> Self:
        """A run of the same candidates with other scores."""
        return replace(self, scores=scores, name=name or self.name)

    def __len__(self) -> int:
        return len(self.pools)

    def __repr__(self) -> str:
        return f"Run({self.name!r}, {_count(self)}, {pluralise(len(self.scores), 'candidate')})"


@dataclass(frozen=True, repr=False)
class Qrels(Tabular):
    """Relevance judgements with grades.

    Attributes:
        relevance: ``{query id: {product id: grade}}``; a grade above 0 is relevant, and a
            product that is not listed has grade 0.
    """

    relevance: Mapping[str, Mapping[str, int]]

    def to_dict(self) -> dict[str, dict[str, int]]:
        """The judgements as ``{query id: {product id: grade}}``."""
        return {query: dict(grades) for query, grades in self.relevance.items()}

    def records(self) -> list[dict[str, Any]]:
        """A row per judgement: query_id, product_id, grade."""
        return [
            {"query_id": query, "product_id": product, "grade": grade}
            for query, grades in self.relevance.items()
            for product, grade in grades.items()
        ]

    def grids(self) -> list[Grid]:
        """The relevant products of the first queries."""
        rows = [
            (query, ", ".join(product for product, grade in grades.items() if grade > 0))
            for query, grades in list(self.relevance.items())[:_SHOWN]
        ]
        return [Grid(("query", "relevant products"), tuple(rows), _more(len(self)))]

    def __len__(self) -> int:
        return len(self.relevance)

    def __repr__(self) -> str:
        judgements = sum(map(len, self.relevance.values()))
        return f"Qrels({_count(self)}, {pluralise(judgements, 'judgement')})"


def _more(queries: int) -> str:
    return f"{queries - _SHOWN:,} more queries" if queries > _SHOWN else ""


def _count(queries: Sized) -> str:
    return pluralise(len(queries), "query", "queries")
