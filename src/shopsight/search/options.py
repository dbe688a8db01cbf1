"""Options of a search, as Python, the command line and the HTTP API take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shopsight.config.checks import check_ranges
from shopsight.errors import UsageError

MAX_DEPTH = 10_000
"""Largest position in a result that can be requested."""


@dataclass(frozen=True)
class SearchOptions:
    """Options of a search; hashable, so that queries of equal options share a batch.

    Attributes:
        k: maximum number of hits.
        offset: number of hits to skip.
        sort: a field to order by instead of the score; "-price" is descending.
        filters: conditions on fields, all of which must be met: `conditions.Filters`, stored as
            sorted pairs.
        candidates: products to re-rank (default: the index's setting).
        rerank: if False, hits are ordered and scored by the first stage.
        explain: add an explanation to every hit.
        correct: replace misspelt words.
        facets: count the matches by field value.
    """

    k: int = 10
    offset: int = 0
    sort: str = ""
    filters: Any = ()
    candidates: int | None = None
    rerank: bool = True
    explain: bool = False
    correct: bool = True
    facets: bool = False

    def __post_init__(self) -> None:
        """Validate the numbers and sort the filters."""
        check_ranges(self, k=1, offset=0)
        if self.candidates is not None:
            check_ranges(self, candidates=1)
        if self.depth > MAX_DEPTH:
            raise UsageError(f"offset + k must be at most {MAX_DEPTH:,}, not {self.depth:,}")
        filters = self.filters or ()
        if isinstance(filters, Mapping):
            values = ((name, (text,) if isinstance(text, str) else tuple(text))
                      for name, text in filters.items())  # fmt: skip
            filters = tuple(sorted(values))
        object.__setattr__(self, "filters", filters)

    @property
    def depth(self) -> int:
        """Number of hits up to the end of the page."""
        return self.offset + self.k
