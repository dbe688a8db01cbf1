"""Search an index: retrieve candidates, then re-rank them with the ensemble."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopsight.errors import DataError, UsageError
from shopsight.search.encoders import SearchModels
from shopsight.search.explain import explain as explain_rows
from shopsight.search.filters import Filter
from shopsight.search.image_query import PhotoEncoder
from shopsight.search.manifest import EXTRACTOR, INDEX_FILE, MODELS
from shopsight.search.rerank import Ranked, candidate_pools, rerank_pools, retrieved_only
from shopsight.search.results import Facet, Hit, Product, Results
from shopsight.search.retrievers.base import QueryBatch, Retriever, Vectors
from shopsight.search.retrievers.factory import open_retriever
from shopsight.search.segment import DUAL
from shopsight.search.snapshot import Snapshot, as_vectors
from shopsight.search.timer import timed

Filters = Mapping[str, str]
"""By field: ``"red"`` (equal; text in any case), ``"10..20"``, ``"10.."``, ``"..20"`` (bounds
included), ``">=10"``, ``">10"``, ``"<=20"``, ``"<20"``, ``"true"``, ``"false"``."""


class Searcher:
    """An opened index; use `open`. Any number of threads may call it at once.

    It follows the index: a change by another process is visible from the next call on, and a call
    sees one state from beginning to end.
    """

    def __init__(self, folder: Path, snapshot: Snapshot, retriever: Retriever) -> None:
        self._folder, self._snapshot, self._retriever = folder, snapshot, retriever
        self._version = _version(folder)
        self._models = SearchModels(folder / MODELS, snapshot.models)
        self._photos = PhotoEncoder(folder / EXTRACTOR, self._models)
        self._opening = threading.Lock()

    @classmethod
    def open(cls, path: str | Path, engine: str | None = None) -> Searcher:
        """Open an index; ``engine`` is the retriever's URL, see `open_retriever`."""
        snapshot = Snapshot.current(path)
        return cls(Path(path), snapshot, open_retriever(engine, snapshot))

    def search(self, query: str, k: int = 10, **options: Any) -> Results:
        """Search with one query; see `search_many` for the options."""
        return self.search_many([query], k, **options)[0]

    def search_many(
        self,
        queries: Sequence[str],
        k: int = 10,
        *,
        filters: Filters | None = None,
        candidates: int | None = None,
        rerank: bool = True,
        explain: bool = False,
    ) -> list[Results]:
        """Search with several queries as one batch; each result holds the batch's seconds.

        Args:
            queries: any texts.
            k: maximum number of hits per query.
            filters: conditions on fields, all of which must be met, else FilterError.
            candidates: products to retrieve for re-ranking (default: the index's setting).
            rerank: if False, hits are ordered and scored by the dual encoder's cosine.
            explain: add an explanation to every hit.
        """
        snapshot, queries = self._current(), [_sanitise(query) for query in queries]
        _check_positive(k=k, candidates=1 if candidates is None else candidates)
        count = max(k, candidates or snapshot.generation.settings.candidates) if rerank else k
        conditions = snapshot.fields.parse(filters or {})
        if not queries:
            return []
        seconds: dict[str, float] = {}
        with timed(seconds, "encode"):
            tokens = self._models.tokens(queries)
            encodings = self._models.encode_queries(tokens, self._models.names)
            batch = QueryBatch(as_vectors(encodings[DUAL]), queries)
        ranked = self._retrieve(snapshot, batch, count, conditions, seconds)
        if rerank:
            with timed(seconds, "rerank"):
                pools = ranked.run.pools
                ranked = rerank_pools(self._models, snapshot, encodings, pools, ranked.rows)
        hits = [self._hits(snapshot, ranked, i, k) for i in range(len(queries))]
        if explain:
            with timed(seconds, "explain"):
                pairs = zip(queries, hits, strict=True)
                hits = [self._explained(snapshot, query, found) for query, found in pairs]
        total = _count(snapshot, conditions)
        return [
            Results(query, query_hits, self._models.unknown_words(query), seconds, total)
            for query, query_hits in zip(queries, hits, strict=True)
        ]

    def similar(self, product_id: str, k: int = 10, *, filters: Filters | None = None) -> Results:
        """Find products similar to a product of the index; scores are cosines."""
        _check_positive(k=k)
        # One more, since the product itself is its nearest, unless the filters exclude it.
        results = self._nearest(
            lambda snapshot: snapshot.vectors(np.array([snapshot.row_of(product_id)])),
            k + 1,
            filters,
        )
        others = tuple(hit for hit in results.hits if hit.product_id != product_id)[:k]
        return replace(results, query=product_id, hits=others)

    def search_photo(
        self, photo: bytes | NDArray[np.uint8], k: int = 10, *, filters: Filters | None = None
    ) -> Results:
        """Find products similar to a photo; scores are cosines.

        The photo is the content of a JPEG or PNG file, or (H, W, 3) uint8 RGB; else PhotoError.
        """
        _check_positive(k=k)
        return self._nearest(lambda _: self._photos.vector(photo), k, filters)

    def product(self, product_id: str) -> Product:
        """A product's fields and regions. Raises UnknownProductError."""
        snapshot = self._current()
        row = snapshot.row_of(product_id)
        has_photo = snapshot.photo(row) is not None
        return Product(product_id, snapshot.fields.record(row), snapshot.boxes(row), has_photo)

    def photo(self, product_id: str) -> bytes | None:
        """A product's photo as a JPEG file, if any. Raises UnknownProductError."""
        snapshot = self._current()
        return snapshot.photo(snapshot.row_of(product_id))

    def facets(self) -> tuple[Facet, ...]:
        """The fields that filters accept."""
        return self._current().facets

    def info(self) -> dict[str, Any]:
        """Counts, models, settings and versions of the index, without any path."""
        snapshot = self._current()
        generation = snapshot.generation
        return {
            "products": generation.products,
            "generation": generation.number,
            "models": dict(generation.models),
            "candidates": generation.settings.candidates,
            "precision": generation.settings.precision,
            "engine": self._retriever.name,
            "photos": snapshot.has_photos,
            "fields": snapshot.fields.names,
            "regions": snapshot.has_regions,
            "extractor": self._photos.available,
            "shopsight": generation.created,
        }

    def sample(self) -> list[str]:
        """A sample of training queries that the index keeps; empty if it has none."""
        return self._models.sample

    def query_vectors(self, queries: Sequence[str]) -> Vectors:
        """(Q, D) dual-encoder vectors of queries, of length 1."""
        return self._models.query_vectors(queries)

    def close(self) -> None:
        """Close the retriever."""
        self._retriever.close()

    def _current(self) -> Snapshot:
        """The newest state."""
        version = _version(self._folder)
        # One thread opens a new state; the others keep searching the previous one meanwhile.
        if version != self._version and self._opening.acquire(blocking=False):
            try:
                self._snapshot = Snapshot.current(self._folder, self._snapshot)
                self._version = version
            finally:
                self._opening.release()
        return self._snapshot

    def _retrieve(
        self,
        snapshot: Snapshot,
        batch: QueryBatch,
        k: int,
        conditions: Sequence[Filter],
        seconds: dict[str, float],
    ) -> Ranked:
        with timed(seconds, "retrieve"):
            candidates = self._retriever.search(snapshot, batch, k, conditions)
            pools, rows = candidate_pools(snapshot, [found.rows for found in candidates])
        cosines = np.concatenate([*(found.scores for found in candidates), np.empty(0)])
        return retrieved_only(pools, rows, cosines.astype(np.float64), DUAL)

    def _nearest(
        self, vector_of: Callable[[Snapshot], Vectors], k: int, filters: Filters | None
    ) -> Results:
        """The nearest products of a vector (1, D)."""
        snapshot, seconds = self._current(), dict[str, float]()
        conditions = snapshot.fields.parse(filters or {})
        with timed(seconds, "encode"):
            vector = vector_of(snapshot)
        ranked = self._retrieve(snapshot, QueryBatch(vector), k, conditions, seconds)
        hits = self._hits(snapshot, ranked, 0, k)
        return Results("", hits, (), seconds, _count(snapshot, conditions))

    def _hits(self, snapshot: Snapshot, ranked: Ranked, query: int, k: int) -> tuple[Hit, ...]:
        return tuple(
            Hit(
                str(ranked.run.pools.product_ids[idx]),
                float(ranked.run.scores[idx]),
                snapshot.fields.record(int(ranked.rows[idx])),
                {name: float(scores[idx]) for name, scores in ranked.contributions.items()},
            )
            for idx in ranked.best(query, k).tolist()
        )

    def _explained(self, snapshot: Snapshot, query: str, hits: tuple[Hit, ...]) -> tuple[Hit, ...]:
        rows = snapshot.rows_of([hit.product_id for hit in hits])
        explanations = explain_rows(self._models, snapshot, query, rows)
        pairs = zip(hits, explanations, strict=True)
        return tuple(replace(hit, explanation=explanation) for hit, explanation in pairs)


def _sanitise(text: str) -> str:
    r"""Replace lone surrogates, which no file or response can hold.

    >>> _sanitise("a\ud800b")
    'a�b'
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _version(folder: Path) -> tuple[int, int]:
    """Identity of ``index.json``, which every change replaces."""
    try:
        status = (folder / INDEX_FILE).stat()
    except OSError as error:
        raise DataError("the index was deleted") from error
    return status.st_ino, status.st_mtime_ns


def _count(snapshot: Snapshot, conditions: Sequence[Filter]) -> int:
    """Number of products that meet all conditions."""
    if not conditions:
        return snapshot.generation.products
    allowed = snapshot.allowed(conditions)
    return len(snapshot) if allowed is None else int(allowed.sum())


def _check_positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise UsageError(f"{name} must be at least 1, not {value}")
