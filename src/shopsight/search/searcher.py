"""Searching an index: recall with the dual encoder, then rank again with the run's ensemble."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopsight.errors import DataError, UsageError
from shopsight.search.encoders import SearchModels
from shopsight.search.explain import explain as explain_hits
from shopsight.search.filters import Filter
from shopsight.search.image_query import PhotoEncoder
from shopsight.search.manifest import EXTRACTOR, INDEX_FILE, MODELS
from shopsight.search.rerank import Ranked, candidate_pools, rerank_pools, retrieved_only
from shopsight.search.results import (
    Explanation,
    Facet,
    Hit,
    Product,
    Results,
    WordMatched,
)
from shopsight.search.retrievers.base import Retriever, open_retriever
from shopsight.search.retrievers.faiss import Vectors
from shopsight.search.segment import DUAL, DUAL_PART
from shopsight.search.snapshot import Snapshot
from shopsight.search.timer import Clock, Timer

__all__ = ["Explanation", "Facet", "Hit", "Product", "Results", "Searcher", "WordMatched"]

Filters = Mapping[str, str]
"""By field: ``"red"`` (equal; text in any case), ``"10..20"``, ``"10.."``, ``"..20"`` (from, to,
both included), ``">=10"``, ``">10"``, ``"<=20"``, ``"<20"``, ``"true"``, ``"false"``."""


class Searcher:
    """An opened index; use `open`. Any number of threads may call it at once.

    It follows the index: what another process adds, updates or removes is there from the next
    call on, and a call sees one state from its beginning to its end.
    """

    def __init__(
        self,
        folder: Path,
        snapshot: Snapshot,
        engine: Retriever,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._folder, self._snapshot, self._retriever = folder, snapshot, engine
        self._clock = clock
        self._stamp = _stamp(folder)
        self._models = SearchModels(folder / MODELS, list(snapshot.generation.models))
        self._photos = PhotoEncoder(folder / EXTRACTOR, self._models)
        self._opening = threading.Lock()

    @classmethod
    def open(
        cls, path: str | Path, engine: str | None = None, clock: Clock = time.perf_counter
    ) -> Searcher:
        """Open an index.

        Args:
            path: the folder that ``shopsight index`` wrote.
            engine: the URL of another engine that recalls; the embedded one if left out.
            clock: what the seconds of answers are measured with.

        Raises:
            DataError: not an index, or an incomplete or damaged one.
            UsageError: no such engine, or what it needs is not installed.
        """
        folder = Path(path)
        snapshot = Snapshot.current(folder)
        return cls(folder, snapshot, open_retriever(engine, snapshot), clock)

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        filters: Filters | None = None,
        candidates: int | None = None,
        rerank: bool = True,
        explain: bool = False,
    ) -> Results:
        """The best products for a query.

        Args:
            query: any text; odd characters are read as the models read them.
            k: most hits.
            filters: what products must be like.
            candidates: products that are ranked again (default: the setting of the index).
            rerank: False skips re-ranking; the score is then the cosine.
            explain: say why.

        Raises:
            FilterError: a filter names an unknown field, or a value that it cannot have.
            UsageError: ``k`` or ``candidates`` is below 1.
        """
        return self.search_many(
            [query], k, filters=filters, candidates=candidates, rerank=rerank, explain=explain
        )[0]

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
        """`search` for several queries at once, which is quicker than one after the other.

        The seconds of each answer are those of all of them together.
        """
        snapshot, queries = self._current(), [_readable(query) for query in queries]
        _check(k, 1 if candidates is None else candidates)
        depth = max(k, candidates or snapshot.generation.settings.candidates)
        conditions = snapshot.fields.conditions(filters or {})
        if not queries:
            return []
        watch = Timer(self._clock)
        with watch.stage("encode"):
            tokens = self._models.tokens(queries)
            codes = self._models.encode_queries(tokens, self._models.names)
            vectors: Vectors = codes[DUAL].tensors()[DUAL_PART].numpy()
        with watch.stage("retrieve"):
            rows, near = self._retriever.search(
                snapshot, vectors, depth if rerank else k, conditions
            )
            pools, every = candidate_pools(snapshot, rows)
        if not rerank:
            cosines = np.concatenate([*near, np.empty(0)]).astype(np.float64)
            ranked = retrieved_only(pools, every, cosines, DUAL)
        else:
            with watch.stage("rerank"):
                ranked = rerank_pools(self._models, snapshot, codes, pools, every)
        hits = [self._hits(snapshot, ranked, i, k) for i in range(len(queries))]
        if explain:
            with watch.stage("explain"):
                hits = [
                    self._explained(snapshot, query, found)
                    for query, found in zip(queries, hits, strict=True)
                ]
        total = _count(snapshot, conditions)
        return [
            Results(query, found, self._models.unknown_words(query), watch.seconds, total)
            for query, found in zip(queries, hits, strict=True)
        ]

    def similar(self, product_id: str, k: int = 10, *, filters: Filters | None = None) -> Results:
        """Products like one of the index, without itself; the score is a cosine.

        Raises:
            UnknownProductError: there is no such product.
            FilterError: see `search`.
        """
        _check(k, k)
        snapshot = self._current()
        vector = snapshot.vectors(np.array([snapshot.row_of(product_id)]))
        found = self._near(snapshot, vector, k + 1, filters, product_id, Timer(self._clock))
        others = tuple(hit for hit in found.hits if hit.product_id != product_id)[:k]
        return replace(found, hits=others)

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
        snapshot, watch = self._current(), Timer(self._clock)
        snapshot.fields.conditions(filters or {})
        with watch.stage("encode"):
            vector = self._photos.vector(photo)
        return self._near(snapshot, vector, k, filters, "", watch)

    def product(self, product_id: str) -> Product:
        """A product of the index. Raises UnknownProductError where there is none."""
        snapshot = self._current()
        row = snapshot.row_of(product_id)
        return Product(
            product_id,
            snapshot.fields.of(row),
            snapshot.boxes(row),
            snapshot.photo(row) is not None,
        )

    def photo(self, product_id: str) -> bytes | None:
        """A product's photo, a JPEG file; None if it has none. Raises UnknownProductError."""
        snapshot = self._current()
        return snapshot.photo(snapshot.row_of(product_id))

    def facets(self) -> tuple[Facet, ...]:
        """The fields that filters can ask for."""
        return self._current().facets

    def info(self) -> dict[str, Any]:
        """Counts, models, settings and versions of the index, without any path.

        Keys: "products", "generation", "models" (by name, its weight), "candidates", "engine",
        "photos", "fields", "regions", "extractor" (booleans), "shopsight" (version).
        """
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
        """Some queries of the training split that the index keeps; none if there was none."""
        return self._models.sample

    def query_vectors(self, queries: Sequence[str]) -> Vectors:
        """(Q, D) the dual encoder's vectors of queries, of length 1."""
        codes = self._models.encode_queries(self._models.tokens(queries), [DUAL])[DUAL]
        found: Vectors = codes.tensors()[DUAL_PART].numpy()
        return found

    def close(self) -> None:
        """Let go of the engine; the index's files go with the object."""
        self._retriever.close()

    def _current(self) -> Snapshot:
        """The newest state; one thread opens it while others go on with the one before."""
        stamp = _stamp(self._folder)
        if stamp != self._stamp and self._opening.acquire(blocking=False):
            try:
                self._snapshot = Snapshot.current(self._folder, self._snapshot)
                self._stamp = stamp
            finally:
                self._opening.release()
        return self._snapshot

    def _near(
        self,
        snapshot: Snapshot,
        vector: Vectors,
        k: int,
        filters: Filters | None,
        query: str,
        watch: Timer,
    ) -> Results:
        """The nearest products of one vector (1, D)."""
        _check(k, k)
        conditions = snapshot.fields.conditions(filters or {})
        with watch.stage("retrieve"):
            rows, near = self._retriever.search(snapshot, vector, k, conditions)
            pools, every = candidate_pools(snapshot, rows)
        ranked = retrieved_only(pools, every, near[0].astype(np.float64), DUAL)
        hits = self._hits(snapshot, ranked, 0, k)
        return Results(query, hits, (), watch.seconds, _count(snapshot, conditions))

    def _hits(self, snapshot: Snapshot, ranked: Ranked, query: int, k: int) -> tuple[Hit, ...]:
        return tuple(
            Hit(
                str(ranked.run.pools.product_ids[at]),
                float(ranked.run.scores[at]),
                snapshot.fields.of(int(ranked.rows[at])),
                {name: float(share[at]) for name, share in ranked.contributions.items()},
            )
            for at in ranked.best(query, k).tolist()
        )

    def _explained(self, snapshot: Snapshot, query: str, hits: tuple[Hit, ...]) -> tuple[Hit, ...]:
        rows = snapshot.rows_of([hit.product_id for hit in hits])
        reasons = explain_hits(self._models, snapshot, query, rows)
        return tuple(replace(hit, explanation=why) for hit, why in zip(hits, reasons, strict=True))


def _readable(text: str) -> str:
    r"""The text with what no file can hold (lone surrogates) replaced.

    >>> _readable("a\ud800b")
    'a�b'
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _stamp(folder: Path) -> tuple[int, int]:
    """What changes when the index's state does."""
    try:
        found = (folder / INDEX_FILE).stat()
    except OSError as error:
        raise DataError("the index is gone") from error
    return found.st_ino, found.st_mtime_ns


def _count(snapshot: Snapshot, conditions: Sequence[Filter]) -> int:
    """How many products meet all conditions."""
    if not conditions:
        return snapshot.generation.products
    allowed = snapshot.allowed(conditions)
    return len(snapshot) if allowed is None else int(allowed.sum())


def _check(k: int, candidates: int) -> None:
    if k < 1 or candidates < 1:
        raise UsageError(f"k and candidates must be at least 1, not {min(k, candidates)}")
