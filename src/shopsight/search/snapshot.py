"""An opened state of an index: all segments as one list of products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from shopsight.batches.batch import Regions
from shopsight.errors import DataError
from shopsight.formats.checksums import check_sizes
from shopsight.models.base import Encodings
from shopsight.models.registry import model_names, model_spec, retrieval_model
from shopsight.search.conditions import Condition
from shopsight.search.errors import UnknownProductError
from shopsight.search.fields import FieldTable
from shopsight.search.lexical import TextMatches, match_texts
from shopsight.search.manifest import INDEX, Generation, read_generation
from shopsight.search.results import Facet
from shopsight.search.retrievers.base import Vectors
from shopsight.search.retrievers.faiss import best_of
from shopsight.search.segment import VECTORS, Segment
from shopsight.types import BoolArray, Box, IntArray

T = TypeVar("T", Encodings, Regions)


class Snapshot:
    """An opened state. Rows are numbered across all segments, from 0.

    Unchanged segments of an ``opened`` earlier snapshot are reused.
    """

    def __init__(
        self, folder: Path, generation: Generation, opened: Snapshot | None = None
    ) -> None:
        self.folder, self.generation = folder, generation
        for name in generation.models:
            if name not in model_names():
                raise DataError(f"{folder}: the index uses an unknown model, '{name[:50]}'")
        check_sizes(folder, generation.files, INDEX.remedy)
        reusable = {segment.folder.name: segment for segment in opened.segments} if opened else {}
        self.segments: list[Segment] = [
            reusable.get(info.name) or Segment(folder / info.name, self.models, info)
            for info in generation.segments
        ]
        self.bounds = np.cumsum([0, *(segment.rows for segment in self.segments)])
        self.alive = self._alive()

    @classmethod
    def current(cls, folder: str | Path, opened: Snapshot | None = None) -> Snapshot:
        """Open the current state, whatever a writer does meanwhile."""
        failed = -1
        while True:
            generation = read_generation(folder)
            try:
                snapshot = cls(Path(folder), generation, opened)
                snapshot.open_all()
                return snapshot
            except DataError:
                # A writer may have replaced the state while we opened it; a state that fails
                # twice is damaged.
                if generation.number == failed:
                    raise
                failed = generation.number

    def __len__(self) -> int:
        return int(self.bounds[-1])

    @property
    def models(self) -> list[str]:
        """Models whose encodings are stored."""
        return list(self.generation.models)

    @property
    def retrieval(self) -> str:
        """The model whose vectors are searched."""
        return str(retrieval_model(self.models))

    @cached_property
    def fields(self) -> FieldTable:
        """The fields of every row."""
        tables = [segment.fields for segment in self.segments]
        return FieldTable(tables, [segment.rows for segment in self.segments])

    @cached_property
    def facets(self) -> tuple[Facet, ...]:
        """The fields that filters accept."""
        return self.fields.facets(None if self.alive.all() else self.alive)

    @property
    def has_photos(self) -> bool:
        """Whether any segment holds photos."""
        return any(segment.photos is not None for segment in self.segments)

    @property
    def has_regions(self) -> bool:
        """Whether every segment holds regions."""
        return bool(self.segments) and all(segment.has_regions for segment in self.segments)

    def open_all(self) -> None:
        """Open every file now, since a later change of the index may delete it."""
        for segment in self.segments:
            segment.open_all()

    def row_of(self, product_id: str) -> int:
        """The row of a product. Raises UnknownProductError."""
        return int(self.known_rows([product_id])[0])

    def known_rows(self, product_ids: Sequence[str]) -> IntArray:
        """(n,) rows of products. Raises UnknownProductError for an unknown or removed one."""
        rows = self.rows_of(product_ids)
        if (rows < 0).any():
            raise UnknownProductError(product_ids[int(np.argmax(rows < 0))])
        return rows

    def rows_of(self, product_ids: Sequence[str]) -> IntArray:
        """(n,) rows of products; -1 for unknown or removed ones."""
        rows = np.full(len(product_ids), -1, np.int64)
        for start, segment in zip(self.bounds, self.segments, strict=False):
            local = segment.id_index.positions(product_ids)
            present = local >= 0
            present[present] = self.alive[start + local[present]]
            rows[present] = start + local[present]
        return rows

    def ids(self, rows: IntArray) -> list[str]:
        """Product ids of rows (n,)."""
        ids = [""] * len(rows)
        for segment, positions, local in self._split(rows):
            names = self.segments[segment].ids[local].tolist()
            for position, name in zip(positions.tolist(), names, strict=True):
                ids[position] = str(name, "utf-8")
        return ids

    def encodings(self, model: str, rows: IntArray) -> Encodings:
        """A model's encodings of rows (n,), in float32."""
        join: Callable[[Sequence[Encodings]], Encodings] = model_spec(model).encodings_class.join
        return self._gather(rows, lambda segment, local: segment.encodings(model, local), join)

    def vectors(self, rows: IntArray) -> Vectors:
        """(n, D) vectors of rows, of the model that retrieves."""
        return as_vectors(self.encodings(self.retrieval, rows))

    def by_cosine(self, query: Vectors, rows: IntArray, k: int) -> tuple[IntArray, Vectors]:
        """The k of rows (n,) nearest to a query (D,), best first, and their cosines."""
        cosines = self.vectors(rows) @ query if len(rows) else np.empty(0, np.float32)
        best, scores = best_of(rows[None], cosines[None], k)
        return best[0], scores[0]

    def regions(self, rows: IntArray) -> Regions:
        """Encoder inputs of products (n,), at least one; requires `has_regions`."""
        return self._gather(rows, Segment.regions, _join_regions)

    def boxes(self, row: int) -> tuple[Box, ...]:
        """A product's regions as fractions of its photo's sides."""
        segment, local = self._locate(row)
        return segment.boxes(local)

    def photo(self, row: int) -> bytes | None:
        """A product's photo, if any."""
        segment, local = self._locate(row)
        return None if segment.photos is None else segment.photos.jpeg(local)

    def near(self, queries: Vectors, cosine: float) -> BoolArray:
        """(Q, P) rows that are not removed and have at least a cosine with queries (Q, D)."""
        near = np.zeros((len(queries), len(self)), bool)
        for start, segment in zip(self.bounds, self.segments, strict=False):
            for mask, rows in zip(near, segment.faiss.near(queries, cosine), strict=True):
                mask[start + rows] = True
        return near & self.alive

    def term_counts(self) -> dict[str, int]:
        """The number of products whose texts hold each word; removed ones count."""
        counts: dict[str, int] = {}
        for segment in self.segments:
            for term, products in segment.terms.counts() if segment.terms else ():
                counts[term] = counts.get(term, 0) + products
        return counts

    def match_texts(self, query: str, knows: Callable[[str], bool]) -> TextMatches:
        """The products whose texts hold words of a query."""
        starts = zip(self.bounds.tolist(), self.segments, strict=False)
        indexes = [(start, segment.terms) for start, segment in starts if segment.terms]
        return match_texts(query, indexes, self.alive, knows)

    def allowed(self, conditions: Sequence[Condition]) -> BoolArray | None:
        """(P,) rows that are not removed and meet all conditions; None if all rows do."""
        met = self.fields.mask(conditions)
        if self.alive.all():
            return met
        return self.alive if met is None else met & self.alive

    def nearest(
        self, queries: Vectors, k: int, allowed: BoolArray | None
    ) -> tuple[IntArray, Vectors]:
        """The (Q, n <= k) rows nearest to queries (Q, D), best first, padded with -1; cosines."""
        rows = [np.empty((len(queries), 0), np.int64)]
        scores = [np.empty((len(queries), 0), np.float32)]
        for start, segment in zip(self.bounds, self.segments, strict=False):
            mask = None if allowed is None else allowed[start : start + segment.rows]
            # Without a mask the segment is searched with its tuned nprobe and no selector.
            if mask is not None and mask.all():
                mask = None
            local, cosines = segment.faiss.search(queries, k, mask)
            rows.append(np.where(local >= 0, local + start, -1))
            scores.append(np.where(local >= 0, cosines, -np.inf).astype(np.float32))
        return best_of(np.concatenate(rows, 1), np.concatenate(scores, 1), k)

    def _gather(
        self,
        rows: IntArray,
        read: Callable[[Segment, IntArray], T],
        join: Callable[[Sequence[T]], T],
    ) -> T:
        """Read rows (n,) segment by segment, and restore their order."""
        pieces = self._split(rows)
        if not pieces:
            return read(self.segments[0], rows)
        values = [read(self.segments[segment], local) for segment, _, local in pieces]
        if len(values) == 1:
            return values[0]
        positions = torch.from_numpy(np.concatenate([positions for _, positions, _ in pieces]))
        return join(values).take(positions.argsort())

    def _alive(self) -> BoolArray:
        alive = np.ones(int(self.bounds[-1]), bool)
        for start, info in zip(self.bounds, self.generation.segments, strict=False):
            if info.removed_file:
                path = self.folder / info.removed_file
                try:
                    alive[start + np.load(path, allow_pickle=False)] = False
                except (OSError, ValueError, IndexError) as error:
                    raise DataError(f"{path}: missing or damaged") from error
        return alive

    def _locate(self, row: int) -> tuple[Segment, int]:
        segment = int(np.searchsorted(self.bounds, row, side="right")) - 1
        return self.segments[segment], row - int(self.bounds[segment])

    def _split(self, rows: IntArray) -> list[tuple[int, IntArray, IntArray]]:
        """Rows (n,) by segment: its index, the positions in ``rows``, the segment's own rows."""
        segment_of = np.searchsorted(self.bounds, rows, side="right") - 1
        pieces = []
        for segment in np.unique(segment_of).tolist():
            positions = np.flatnonzero(segment_of == segment)
            pieces.append((segment, positions, rows[positions] - int(self.bounds[segment])))
        return pieces


def as_vectors(encodings: Encodings) -> Vectors:
    """(n, D) the vectors of a dual encoder's encodings."""
    vectors: Vectors = encodings.tensors()[VECTORS].numpy()
    return vectors


def _join_regions(pieces: Sequence[Regions]) -> Regions:
    features = torch.cat([piece.features for piece in pieces])
    boxes = torch.cat([piece.boxes for piece in pieces])
    return Regions(features, boxes, torch.cat([piece.lengths for piece in pieces]))
