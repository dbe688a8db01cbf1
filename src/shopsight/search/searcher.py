"""Search an index: retrieve candidates, then re-rank them with the ensemble."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopsight.errors import DataError
from shopsight.models.base import Encodings
from shopsight.search.correction import Corrector
from shopsight.search.encoders import SearchModels
from shopsight.search.explain import explain
from shopsight.search.image_query import PhotoEncoder
from shopsight.search.lexical import TextMatches
from shopsight.search.manifest import EXTRACTOR, INDEX_FILE, MODELS
from shopsight.search.options import SearchOptions
from shopsight.search.page import TEXT, Clock, Found, PageRequest
from shopsight.search.rerank import candidate_pools, rerank_pools
from shopsight.search.results import Explanation, Facet, Product, Results
from shopsight.search.retrievers.base import Candidates, QueryBatch, Retriever, Vectors
from shopsight.search.retrievers.factory import open_retriever
from shopsight.search.snapshot import Snapshot, as_vectors
from shopsight.types import BoolArray, IntArray

_NONE = np.empty(0)
_USES_OF_QUERY_WORDS = 10  # a word that shoppers used is likelier than a rare one of titles


class Searcher:
    """An opened index; use `open`. Any number of threads may call it at once.

    It follows the index: a change by another process is visible from the next call on, and a call
    sees one state from beginning to end.
    """

    def __init__(
        self, folder: Path, snapshot: Snapshot, retriever: Retriever, clock: Clock
    ) -> None:
        self.folder, self._snapshot, self._retriever = folder, snapshot, retriever
        self._clock = clock
        self._version = _version(folder)
        self._models = SearchModels(folder / MODELS, snapshot.models)
        self._photos = PhotoEncoder(folder / EXTRACTOR, self._models)
        self._opening = threading.Lock()
        self._corrector = (-1, Corrector({}))

    @classmethod
    def open(
        cls, path: str | Path, engine: str | None = None, clock: Clock = time.perf_counter
    ) -> Searcher:
        """Open an index; ``engine`` is the retriever's URL, see `open_retriever`."""
        snapshot = Snapshot.current(path)
        return cls(Path(path), snapshot, open_retriever(engine, snapshot), clock)

    def search(self, query: str, k: int = 10, **options: Any) -> Results:
        """Search with one query; see `SearchOptions`. A blank one finds all products."""
        return self.search_many([query], k, **options)[0]

    def search_many(self, queries: Sequence[str], k: int = 10, **options: Any) -> list[Results]:
        """Search with several queries as one batch; each result holds the batch's seconds.

        Raises:
            FilterError: a condition that the index cannot answer, or an unknown field to sort by.
        """
        request = self._request(k, options)
        texts = [_sanitise(query) for query in queries]
        corrected = self._corrected(texts, request) if request.options.correct else texts
        found = iter(self._find([text for text in corrected if text.strip()], request))
        results = [next(found) if text.strip() else _browse(text, request) for text in corrected]
        return [
            result if result.query == text else replace(result, query=text, corrected=result.query)
            for text, result in zip(texts, results, strict=True)
        ]

    def similar(self, product_id: str, k: int = 10, **options: Any) -> Results:
        """Find products similar to a product of the index; scores are cosines.

        The options are ``offset``, ``filters`` and ``facets``.
        """
        request = self._request(k, options)
        row = request.snapshot.row_of(product_id)
        vector = request.snapshot.vectors(np.array([row]))
        return self._nearest(product_id, vector, request, without=row)

    def search_photo(
        self, photo: bytes | NDArray[np.uint8], k: int = 10, **options: Any
    ) -> Results:
        """Find products similar to a photo; scores are cosines.

        The photo is the content of a JPEG or PNG file, or (H, W, 3) uint8 RGB; else PhotoError. The
        options are ``offset``, ``filters`` and ``facets``.
        """
        request = self._request(k, options)
        with request.timed("encode"):
            vector = self._photos.vector(photo)
        return self._nearest("", vector, request)

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
        version = _version(self.folder)
        # One thread opens a new state; the others keep searching the previous one meanwhile.
        if version != self._version and self._opening.acquire(blocking=False):
            try:
                self._snapshot = Snapshot.current(self.folder, self._snapshot)
                self._version = version
            finally:
                self._opening.release()
        return self._snapshot

    def _request(self, k: int, options: dict[str, Any]) -> PageRequest:
        return PageRequest.of(self._current(), SearchOptions(k, **options), self._clock)

    def _corrected(self, texts: Sequence[str], request: PageRequest) -> list[str]:
        """The queries without misspelt words; a product id is never misspelt."""
        snapshot = request.snapshot
        if self._corrector[0] != snapshot.generation.number:
            counts = dict.fromkeys(self._models.known_words or (), _USES_OF_QUERY_WORDS)
            for term, products in snapshot.term_counts().items():
                if products > 1 or term in counts:
                    counts[term] = counts.get(term, 0) + products
            self._corrector = (snapshot.generation.number, Corrector(counts))
        corrector = self._corrector[1]
        return [text if len(_exact(snapshot, text)) else corrector.correct(text) for text in texts]

    def _find(self, queries: Sequence[str], request: PageRequest) -> list[Results]:
        """Search with queries that are not blank."""
        if not queries:
            return []
        snapshot, options = request.snapshot, request.options
        reranked = options.rerank and not options.sort
        with request.timed("encode"):
            retrieval = self._models.retrieval
            names = self._models.names if reranked else [retrieval]
            encodings = self._models.encode_queries(self._models.tokens(queries), names)
            batch = QueryBatch(as_vectors(encodings[retrieval]), queries)
        with request.timed("retrieve"):
            near = _matches(snapshot, batch.vectors)
            texts = [snapshot.match_texts(query, self._models.knows_term) for query in queries]
            for query, mask, text in zip(queries, near, texts, strict=True):
                if mask is not None:
                    if not self._models.understands(query):
                        mask[:] = False
                    mask[text.rows[text.whole]] = True
                    mask[_exact(snapshot, query)] = True
            if options.sort:
                pages = list(map(partial(_sorted_page, request), near, batch.vectors))
            else:
                found = self._candidates(request, batch, near, texts)
        if reranked:
            with request.timed("rerank"):
                found = self._reranked(request, encodings, found)
        if not options.sort:
            pages = [item.slice(options.offset, options.depth) for item in found]
        explanations: Sequence[Sequence[Explanation] | None] = [None] * len(queries)
        if options.explain:
            with request.timed("explain"):
                explain_page = partial(explain, self._models, snapshot)
                explanations = list(map(explain_page, queries, [page.rows for page in pages]))
        return [
            request.results(query, page, mask, explanations=why,
                            unknown_words=self._models.unknown_words(query))
            for query, page, mask, why in zip(queries, pages, near, explanations, strict=True)
        ]  # fmt: skip

    def _candidates(
        self,
        request: PageRequest,
        batch: QueryBatch,
        near: Sequence[BoolArray | None],
        texts: Sequence[TextMatches],
    ) -> list[Found]:
        """The first stage: matching products by vectors and words."""
        options = request.options
        depth = max(options.depth, self._head(request) if options.rerank else 0)
        found = self._retriever.search(request.snapshot, batch, depth, request.conditions)
        cutoff = request.snapshot.generation.cutoff
        for query, item, mask in zip(batch.texts or (), found, near, strict=True):
            if mask is not None and cutoff is not None and self._models.understands(query):
                # An approximate index may look into fewer lists for the mask than with a filter.
                mask[item.rows[item.scores >= cutoff]] = True
        name = request.snapshot.retrieval
        return [
            _with_texts(request, _found(item, mask, name), depth, batch.query(i), text)
            for i, (item, mask, text) in enumerate(zip(found, near, texts, strict=True))
        ]

    def _reranked(
        self, request: PageRequest, encodings: Mapping[str, Encodings], found: Sequence[Found]
    ) -> list[Found]:
        """Re-rank the first candidates of each query; the others follow in their order."""
        head, snapshot = self._head(request), request.snapshot
        pools, rows = candidate_pools(snapshot, [item.rows[:head] for item in found])
        ranked = rerank_pools(self._models, snapshot, encodings, pools, rows)
        pages = []
        for i, item in enumerate(found):
            boosts = np.zeros(len(item.rows)) if item.boost is None else item.boost
            boost = dict(zip(item.rows.tolist(), boosts.tolist(), strict=True))
            pages.append(_followed_by(ranked.found(i).boosted(boost), item.slice(head)))
        return pages

    def _head(self, request: PageRequest) -> int:
        # The page must not decide: scores depend on the other candidates, and so would the order
        # of the pages before it.
        return request.options.candidates or request.snapshot.generation.settings.candidates

    def _nearest(
        self, query: str, vector: Vectors, request: PageRequest, without: int = -1
    ) -> Results:
        """The products nearest to a vector (1, D), ``without`` a row."""
        snapshot, options = request.snapshot, request.options
        with request.timed("retrieve"):
            # One more, for the product itself.
            batch, depth = QueryBatch(vector), options.depth + (without >= 0)
            (item,) = self._retriever.search(snapshot, batch, depth, request.conditions)
            near = None if without < 0 else np.arange(len(snapshot)) != without
            page = _found(item, near, snapshot.retrieval).slice(options.offset, options.depth)
        return request.results(query, page, None if near is None else near & snapshot.alive)


def _matches(snapshot: Snapshot, vectors: Vectors) -> Sequence[BoolArray | None]:
    """The rows (P,) that match each query (Q, D), whatever the filters; None: all."""
    cutoff = snapshot.generation.cutoff
    return [None] * len(vectors) if cutoff is None else list(snapshot.near(vectors, cutoff))


def _found(item: Candidates, near: BoolArray | None, retrieval: str) -> Found:
    """The candidates among ``near`` (P,), scored by the cosines of the model that retrieves."""
    keep = slice(None) if near is None else near[item.rows]
    scores = item.scores[keep].astype(np.float64)
    return Found(item.rows[keep], scores, {retrieval: scores})


def _exact(snapshot: Snapshot, query: str) -> IntArray:
    """The row (0 or 1,) of the product whose id is the query."""
    rows = snapshot.rows_of([query.strip()])
    return rows[rows >= 0]


def _with_texts(
    request: PageRequest, found: Found, depth: int, query: QueryBatch, text: TextMatches
) -> Found:
    """Unite candidates with the products that hold the query's words, in a fused order.

    The score is the cosine, plus the weighted coverage of the words; words that the vectors do not
    know, and an exact product id, outweigh any cosine.
    """
    snapshot, (vector,) = request.snapshot, query.vectors
    exact = _exact(snapshot, (query.texts or [""])[0])
    allowed = snapshot.allowed(request.conditions)
    held = np.union1d(text.rows[text.whole | (text.new > 0)], exact)
    held = held if allowed is None else held[allowed[held]]
    coverage = np.zeros((2, len(snapshot)), np.float32)
    coverage[:, text.rows] = text.known, text.new
    coverage[1, exact] += 1
    # Candidates of words alone are limited to those with the best coverage.
    held = held[np.argsort(-coverage[:, held].sum(0), kind="stable")[:depth]]
    others = np.setdiff1d(held, found.rows)
    cosines = found.scores
    if len(others):
        cosines = np.append(cosines, snapshot.vectors(others) @ vector)
    rows = np.append(found.rows, others)
    known, boost = coverage[:, rows].astype(np.float64)
    added = snapshot.generation.text_weight * known + 2 * boost
    order = np.argsort(-(cosines + added), kind="stable")[:depth]
    parts = {snapshot.retrieval: cosines[order]} | ({TEXT: added[order]} if added.any() else {})
    return Found(rows[order], (cosines + added)[order], parts, boost[order])


def _followed_by(first: Found, others: Found) -> Found:
    """The others after the first; their scores are shifted, so that none exceeds a better hit's."""
    if not len(first.rows) or not len(others.rows):
        return first if len(first.rows) else others
    shift = first.scores[-1] - others.scores[0]
    none, ahead = np.zeros(len(others.rows)), np.zeros(len(first.rows))
    later = dict(others.contributions)
    retrieval = next(name for name in later if name != TEXT)
    later[retrieval] = later[retrieval] + shift
    parts = {
        name: np.append(first.contributions.get(name, ahead), later.get(name, none))
        for name in dict.fromkeys([*first.contributions, *later])
    }
    scores = np.append(first.scores, others.scores + shift)
    return Found(np.append(first.rows, others.rows), scores, parts)


def _sorted_page(request: PageRequest, near: BoolArray | None, vector: Vectors) -> Found:
    """The matches in the order of a field, scored by cosine."""
    rows = request.rows(near)[request.options.offset : request.options.depth]
    scores = (request.snapshot.vectors(rows) @ vector).astype(np.float64) if len(rows) else _NONE
    return Found(rows, scores, {request.snapshot.retrieval: scores})


def _browse(query: str, request: PageRequest) -> Results:
    """All products, in the order of a field or of the index."""
    rows = request.rows(None)[request.options.offset : request.options.depth]
    return request.results(query, Found(rows, np.zeros(len(rows)), {}))


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
