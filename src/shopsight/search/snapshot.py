"""One state of an index, opened: all its parts as one list of products, removed ones left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from shopsight.batches.batch import Regions
from shopsight.errors import DataError
from shopsight.formats.checksums import check_sizes
from shopsight.models.base import Encodings
from shopsight.search.errors import UnknownProductError
from shopsight.search.filters import FieldTable, Filter
from shopsight.search.manifest import INDEX, Generation, SegmentInfo, read_generation
from shopsight.search.results import Facet
from shopsight.search.retrievers.faiss import FaissIndex, Vectors
from shopsight.search.segment import CODES, DUAL, DUAL_PART, RECALL, Segment
from shopsight.types import BoolArray, Box, IntArray

_OPENING = 5  # tries, where a writer is faster than we open


class Snapshot:
    """An opened state. Rows are counted through all parts, from 0.

    Args:
        folder: the index.
        generation: the state.
        known: parts that are open already, by name.

    Raises:
        DataError: a file is missing or damaged.
    """

    def __init__(
        self, folder: Path, generation: Generation, known: Mapping[str, Segment] | None = None
    ) -> None:
        self.folder, self.generation = folder, generation
        for name in generation.models:
            if name not in CODES:
                raise DataError(f"{folder}: made with a model that is unknown here, '{name[:50]}'")
        check_sizes(folder, generation.files, INDEX.remedy)
        self.parts = [self._open(part, known or {}) for part in generation.segments]
        self.bounds = np.cumsum([0, *(part.rows for part in self.parts)])
        self.alive = self._alive()
        self._recalls: dict[str, FaissIndex] = {}

    @classmethod
    def current(cls, folder: str | Path, known: Snapshot | None = None) -> Snapshot:
        """Open the current state; a writer may be at work meanwhile.

        Args:
            folder: the index.
            known: an earlier state, whose parts that stayed are not opened again.
        """
        parts = {one.folder.name: one for one in known.parts} if known else {}
        number = -1
        for _ in range(_OPENING):
            generation = read_generation(folder)
            try:
                found = cls(Path(folder), generation, parts)
                found._share(known)
                return found
            except DataError:
                if generation.number == number:
                    raise
                number = generation.number  # perhaps it was replaced meanwhile
        return cls(Path(folder), read_generation(folder), parts)

    def __len__(self) -> int:
        return int(self.bounds[-1])

    @property
    def models(self) -> list[str]:
        """Models whose codes are kept."""
        return list(self.generation.models)

    @cached_property
    def fields(self) -> FieldTable:
        """What is known of every row."""
        return FieldTable([part.fields for part in self.parts], [part.rows for part in self.parts])

    @cached_property
    def facets(self) -> tuple[Facet, ...]:
        """The fields that filters can ask for."""
        return self.fields.facets(None if self.alive.all() else self.alive)

    @property
    def has_photos(self) -> bool:
        """Whether any part holds photos."""
        return any(part.photos is not None for part in self.parts)

    @property
    def has_regions(self) -> bool:
        """Whether every part holds regions."""
        return bool(self.parts) and all(part.has_regions for part in self.parts)

    def row_of(self, product_id: str) -> int:
        """The row of a product. Raises UnknownProductError where there is none."""
        for number, part in enumerate(self.parts):
            row = part.row_of(product_id)
            if row is not None and self.alive[self.bounds[number] + row]:
                return int(self.bounds[number] + row)
        raise UnknownProductError(product_id)

    def rows_of(self, product_ids: Sequence[str]) -> IntArray:
        """(n,) rows of products; -1 for those that are not here."""
        found = np.full(len(product_ids), -1, np.int64)
        if not product_ids:
            return found
        wanted = np.array([one.encode("utf-8", "surrogatepass") for one in product_ids], np.bytes_)
        for number, part in enumerate(self.parts):
            rows = part.rows_of(wanted)
            there = rows >= 0
            there[there] = self.alive[self.bounds[number] + rows[there]]
            found[there] = self.bounds[number] + rows[there]
        return found

    def ids(self, rows: IntArray) -> list[str]:
        """Product ids of rows (n,)."""
        found = [b""] * len(rows)
        for number, at, local in self._split(rows):
            for place, one in zip(at.tolist(), self.parts[number].ids[local].tolist(), strict=True):
                found[place] = one
        return [str(one, "utf-8") for one in found]

    def encodings(self, model: str, rows: IntArray) -> Encodings:
        """A model's codes of rows (n,), in float32."""
        pieces = list(self._split(rows))
        if len(pieces) == 1:
            return self.parts[pieces[0][0]].encodings(model, pieces[0][2])
        if not pieces:
            return self.parts[0].encodings(model, rows)
        parts = [self.parts[number].encodings(model, local) for number, _, local in pieces]
        places = torch.from_numpy(np.concatenate([at for _, at, _ in pieces]))
        return CODES[model].join(parts).take(places.argsort())

    def vectors(self, rows: IntArray) -> Vectors:
        """(n, D) the dual encoder's vectors of rows."""
        return _vectors(self.encodings(DUAL, rows))

    def by_cosine(self, query: Vectors, rows: IntArray, depth: int) -> tuple[IntArray, Vectors]:
        """The nearest of rows (n,) to a query (D,), best first, and their cosines."""
        near = self.vectors(rows) @ query if len(rows) else np.empty(0, np.float32)
        order = np.argsort(-near, kind="stable")[:depth]
        return rows[order], near[order]

    def regions(self, rows: IntArray) -> Regions:
        """What the encoders read of products (n,), at least one; only where `has_regions`."""
        pieces = list(self._split(rows))
        each = [self.parts[number].regions(local) for number, _, local in pieces]
        if len(each) == 1:
            return each[0]
        joined = Regions(
            torch.cat([one.features for one in each]),
            torch.cat([one.boxes for one in each]),
            torch.cat([one.lengths for one in each]),
        )
        places = torch.from_numpy(np.concatenate([at for _, at, _ in pieces]))
        return joined.take(places.argsort())

    def boxes(self, row: int) -> tuple[Box, ...]:
        """A product's regions as shares of its photo's sides."""
        number, local = self._place(row)
        return self.parts[number].boxes(local)

    def photo(self, row: int) -> bytes | None:
        """A product's photo."""
        number, local = self._place(row)
        photos = self.parts[number].photos
        return None if photos is None else photos.jpeg(local)

    def allowed(self, conditions: Sequence[Filter]) -> BoolArray | None:
        """(P,) rows that are there and meet all conditions; None if all rows do."""
        met = self.fields.allowed(conditions) if conditions else None
        if self.alive.all():
            return met
        return self.alive if met is None else met & self.alive

    def nearest(
        self, queries: Vectors, depth: int, allowed: BoolArray | None
    ) -> tuple[IntArray, Vectors]:
        """The nearest rows of queries (Q, D), through the parts' own recall indexes.

        Returns:
            (Q, n) rows, best first and -1 where there are no more, and their cosines; n is at
            most ``depth``.
        """
        rows, scores = [], []
        for number, part in enumerate(self.parts):
            start, stop = int(self.bounds[number]), int(self.bounds[number + 1])
            here = None if allowed is None else allowed[start:stop]
            if here is not None and here.all():
                here = None
            found, near = self._recall(part).search(queries, depth, here)
            rows.append(np.where(found >= 0, found + start, -1))
            scores.append(np.where(found >= 0, near, -np.inf))
        if not rows:
            blank = np.empty((len(queries), 0))
            return blank.astype(np.int64), blank.astype(np.float32)
        every, near = np.concatenate(rows, 1), np.concatenate(scores, 1).astype(np.float32)
        order = np.argsort(-near, axis=1, kind="stable")[:, :depth]
        return np.take_along_axis(every, order, 1), np.take_along_axis(near, order, 1)

    def _recall(self, part: Segment) -> FaissIndex:
        name = part.folder.name
        if name not in self._recalls:
            about = next(one.faiss for one in self.generation.segments if one.name == name)

            def read(rows: IntArray) -> Vectors:
                return _vectors(part.encodings(DUAL, rows))

            self._recalls[name] = FaissIndex.open(part.folder / RECALL, about, part.rows, read)
        return self._recalls[name]

    def open_all(self) -> None:
        """Open what is otherwise opened when it is first needed, as files may go later."""
        for part in self.parts:
            self._recall(part)
            _ = part.fields

    def _open(self, part: SegmentInfo, known: Mapping[str, Segment]) -> Segment:
        if part.name in known:
            return known[part.name]
        return Segment(self.folder / part.name, list(self.generation.models), part.rows)

    def _share(self, known: Snapshot | None) -> None:
        if known is not None:
            names = {part.folder.name for part in self.parts}
            kept = {name: one for name, one in known._recalls.items() if name in names}
            self._recalls.update(kept)
        self.open_all()

    def _alive(self) -> BoolArray:
        alive = np.ones(int(self.bounds[-1]), bool)
        for number, part in enumerate(self.generation.segments):
            if part.removed_file:
                path = self.folder / part.removed_file
                try:
                    rows = np.load(path, allow_pickle=False)
                    alive[self.bounds[number] + rows] = False
                except (OSError, ValueError, IndexError) as error:
                    raise DataError(f"{path}: missing or damaged") from error
        return alive

    def _place(self, row: int) -> tuple[int, int]:
        number = int(np.searchsorted(self.bounds, row, side="right")) - 1
        return number, row - int(self.bounds[number])

    def _split(self, rows: IntArray) -> list[tuple[int, IntArray, IntArray]]:
        """Rows (n,) by part: its number, the places in ``rows``, and the part's own rows."""
        number = np.searchsorted(self.bounds, rows, side="right") - 1
        return [
            (int(one), np.flatnonzero(number == one), rows[number == one] - int(self.bounds[one]))
            for one in np.unique(number)
        ]


def _vectors(codes: Encodings) -> Vectors:
    found: Vectors = codes.tensors()[DUAL_PART].numpy()
    return found
