"""Searching an index: recall with the dual encoder, then rank again with the run's ensemble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopsight.search.results import (
    Explanation,
    Facet,
    Hit,
    Product,
    Results,
    WordMatched,
)

__all__ = ["Explanation", "Facet", "Hit", "Product", "Results", "Searcher", "WordMatched"]

Filters = Mapping[str, str]
"""By field: ``"red"`` (equal; text in any case), ``"10..20"``, ``"10.."``, ``"..20"`` (from, to,
both included), ``">=10"``, ``">10"``, ``"<=20"``, ``"<20"``, ``"true"``, ``"false"``."""


class Searcher:
    """An opened index; use `open`. Any number of threads may call it at once.

    It follows the index: what another process adds, updates or removes is there from the next
    call on, and a call sees one state from its beginning to its end.
    """

    @classmethod
    def open(cls, path: str | Path, engine: str | None = None) -> Searcher:
        """Open an index.

        Args:
            path: the folder that ``shopsight index`` wrote.
            engine: the URL of another engine that recalls; the embedded one if left out.

        Raises:
            DataError: not an index, or an incomplete or damaged one.
            UsageError: no such engine, or what it needs is not installed.
        """
        raise NotImplementedError

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        filters: Filters | None = None,
        depth: int | None = None,
        recall_only: bool = False,
        explain: bool = False,
    ) -> Results:
        """The best products for a query.

        Args:
            query: any text; odd characters are read as the models read them.
            k: most hits.
            filters: what products must be like.
            depth: candidates that are ranked again; the index says how many if left out.
            recall_only: leave out the ranking; the score is then the dual encoder's cosine.
            explain: say why.

        Raises:
            FilterError: a filter names an unknown field, or a value that it cannot have.
            UsageError: ``k`` or ``depth`` is below 1.
        """
        return self.search_many(
            [query], k, filters=filters, depth=depth, recall_only=recall_only, explain=explain
        )[0]

    def search_many(
        self,
        queries: Sequence[str],
        k: int = 10,
        *,
        filters: Filters | None = None,
        depth: int | None = None,
        recall_only: bool = False,
        explain: bool = False,
    ) -> list[Results]:
        """`search` for several queries at once, which is quicker than one after the other."""
        raise NotImplementedError

    def similar(
        self, product_id: str, k: int = 10, *, filters: Filters | None = None
    ) -> Results:
        """Products like one of the index, without itself; the score is a cosine.

        Raises:
            UnknownProductError: there is no such product.
            FilterError: see `search`.
        """
        raise NotImplementedError

    def search_photo(
        self,
        photo: bytes | NDArray[np.uint8],
        k: int = 10,
        *,
        filters: Filters | None = None,
    ) -> Results:
        """Products like a photo; the score is a cosine.

        Args:
            photo: a JPEG or PNG file's bytes, or (H, W, 3) uint8 RGB.
            k: most hits.
            filters: what products must be like.

        Raises:
            PhotoError: not a photo, too large a one, or the index has no region extractor.
            FilterError: see `search`.
        """
        raise NotImplementedError

    def product(self, product_id: str) -> Product:
        """A product of the index. Raises UnknownProductError where there is none."""
        raise NotImplementedError

    def photo(self, product_id: str) -> bytes | None:
        """A product's photo, a JPEG file; None if it has none. Raises UnknownProductError."""
        raise NotImplementedError

    def facets(self) -> tuple[Facet, ...]:
        """The fields that filters can ask for."""
        raise NotImplementedError

    def info(self) -> dict[str, Any]:
        """Counts, models, settings and versions of the index, without any path.

        Keys: "products", "generation", "models" (by name, its weight), "depth", "engine",
        "photos", "fields", "regions", "extractor" (booleans), "shopsight" (version).
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the index's files and of the engine."""
        raise NotImplementedError
