"""A page of results: the slice of the found products, their fields, the total and the facets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np

from shopsight.search.conditions import Condition
from shopsight.search.options import SearchOptions
from shopsight.search.results import Explanation, Facet, Hit, Results
from shopsight.search.snapshot import Snapshot
from shopsight.types import BoolArray, FloatArray, IntArray

TEXT = "text"
"""Contribution of the words in the products' texts."""
Clock = Callable[[], float]
"""Returns seconds."""


@dataclass(frozen=True, eq=False)
class Found:
    """Products found for a query, best first: rows (n,), scores (n,), parts of the scores (n,).

    ``boost`` (n,) is above 0 where the texts hold words that only they can answer.
    """

    rows: IntArray
    scores: FloatArray
    contributions: Mapping[str, FloatArray]
    boost: FloatArray | None = None

    def slice(self, start: int, stop: int | None = None) -> Found:
        """The products from one position to another."""
        parts = {name: part[start:stop] for name, part in self.contributions.items()}
        boost = None if self.boost is None else self.boost[start:stop]
        return Found(self.rows[start:stop], self.scores[start:stop], parts, boost)

    def boosted(self, boost: Mapping[int, float]) -> Found:
        """Put the products of a higher boost (by row) first, keeping the order within each."""
        added = np.array([boost.get(row, 0.0) for row in self.rows.tolist()])
        if not added.any():
            return self
        added *= np.ptp(self.scores) + 1.0
        scores = self.scores + added
        order = np.argsort(-scores, kind="stable")
        parts = {name: part[order] for name, part in self.contributions.items()}
        return Found(self.rows[order], scores[order], parts | {TEXT: added[order]})


@dataclass(frozen=True, eq=False)
class PageRequest:
    """A state of the index and what is requested of it; ``seconds`` collects times by stage."""

    snapshot: Snapshot
    options: SearchOptions
    conditions: Sequence[Condition]
    clock: Clock
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, snapshot: Snapshot, options: SearchOptions, clock: Clock) -> PageRequest:
        """Parse the options. Raises FilterError for what the index's fields cannot answer."""
        conditions = snapshot.fields.parse(dict(options.filters))
        if options.sort:
            snapshot.fields.sortable(options.sort)
        return cls(snapshot, options, conditions, clock)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the duration of a block to the seconds of a stage."""
        start = self.clock()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + self.clock() - start

    def rows(self, near: BoolArray | None) -> IntArray:
        """Rows (n,) among ``near`` (P,) that meet the conditions, in the requested order."""
        mask = self._met(near)
        rows = np.arange(len(self.snapshot)) if mask is None else np.flatnonzero(mask)
        if self.options.sort:
            rows = self.snapshot.fields.order(self.options.sort, rows)
        return rows

    def results(
        self,
        query: str,
        page: Found,
        near: BoolArray | None = None,
        *,
        explanations: Sequence[Explanation] | None = None,
        unknown_words: tuple[str, ...] = (),
    ) -> Results:
        """The results of a query that the products ``near`` (P,) match; None: all of them."""
        records = map(self.snapshot.fields.record, page.rows.tolist())
        whys = explanations or repeat(None, len(page.rows))
        hits = tuple(
            Hit(product_id, float(page.scores[i]), record,
                {name: float(part[i]) for name, part in page.contributions.items()}, why)
            for i, (product_id, record, why)
            in enumerate(zip(self.snapshot.ids(page.rows), records, whys, strict=True))
        )  # fmt: skip
        met = self._met(near)
        total = len(self.snapshot) if met is None else int(met.sum())
        offset, facets = self.options.offset, self._facets(near)
        return Results(
            query, hits, unknown_words, self.seconds, total, offset=offset, facets=facets
        )

    def _met(self, near: BoolArray | None) -> BoolArray | None:
        allowed = self.snapshot.allowed(self.conditions)
        return allowed if near is None else near if allowed is None else near & allowed

    def _facets(self, near: BoolArray | None) -> tuple[Facet, ...]:
        if not self.options.facets:
            return ()
        if near is None and not self.conditions:
            return self.snapshot.facets
        alive = self.snapshot.alive if near is None else near
        return self.snapshot.fields.facets(alive, self.conditions)
