"""An index of products: search, and changes while others search it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from shopsight.api.data import as_data
from shopsight.api.settings import build_settings, takes
from shopsight.config import DedupeConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import InputError, ShopsightError, pluralise
from shopsight.search.manifest import Generation, read_generation
from shopsight.search.results import Hit, Results
from shopsight.tables import Grid, Tabular, abbreviated, html_table, photo_uri, plain
from shopsight.types import Progress, no_progress

if TYPE_CHECKING:
    from shopsight.search.duplicates import DuplicateGroup
    from shopsight.search.searcher import Searcher

Data = PreparedData | str | Path
Filters = Mapping[str, Any]
_FIELDS = 4  # shown per product
_LONGEST = 60
_MAX_GROUPS = 20  # rows of a table of duplicates


@dataclass(frozen=True, repr=False)
class SearchResults(Tabular):
    """The products found for a query, best first; a sequence of hits.

    Attributes:
        results: the hits with their scores, fields and explanations.
    """

    results: Results
    _photo: Callable[[str], bytes | None]

    def grids(self) -> list[Grid]:
        """A row per hit: product, score and the first fields."""
        hits = self.results.hits
        names = list(dict.fromkeys(name for hit in hits for name in hit.fields))[:_FIELDS]
        rows = tuple(
            (str(rank), hit.product_id, f"{hit.score:.3f}", *(_cell(hit, name) for name in names))
            for rank, hit in enumerate(hits, start=1)
        )
        times = ", ".join(f"{n} {1000 * s:,.1f} ms" for n, s in self.results.seconds.items())
        note = f"{self.results.total:,} matching products; {times}"
        return [Grid(("", "product", "score", *names), rows, note)]

    def records(self) -> list[dict[str, Any]]:
        """A row per hit: rank, product_id, score and all fields."""
        return [
            {"rank": rank, "product_id": hit.product_id, "score": hit.score, **hit.fields}
            for rank, hit in enumerate(self.results.hits, start=1)
        ]

    def to_dict(self) -> dict[str, Any]:
        """The results as JSON-serialisable values."""
        return self.results.to_dict()

    def __len__(self) -> int:
        return len(self.results.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.results.hits)

    def __getitem__(self, rank: int) -> Hit:
        return self.results.hits[rank]

    def __repr__(self) -> str:
        products = abbreviated(hit.product_id for hit in self)
        return f"SearchResults({self.results.query!r}, products: {products})"

    def _repr_html_(self) -> str:
        return html_table(self.grids()[0], [self._data_uri(hit.product_id) for hit in self])

    def _data_uri(self, product_id: str) -> str:
        try:
            photo = self._photo(product_id)
        except ShopsightError:  # removed from the index since the search
            photo = None
        return photo_uri(photo) if photo else ""


@dataclass(frozen=True)
class Duplicates(Tabular):
    """Groups of near-duplicate products, the largest first."""

    groups: tuple[DuplicateGroup, ...]

    @property
    def redundant(self) -> int:
        """The number of products beyond the first of each group."""
        return sum(len(group.product_ids) - 1 for group in self.groups)

    def grids(self) -> list[Grid]:
        """A row per group."""
        rows = tuple(
            (
                str(len(group.product_ids)),
                f"{group.cosine:.4f}",
                "yes" if group.same_file else "no",
                " ".join(group.product_ids),
            )
            for group in self.groups[:_MAX_GROUPS]
        )
        more = len(self.groups) - _MAX_GROUPS
        counts = (
            f"{pluralise(len(self.groups), 'group')};"
            f" {pluralise(self.redundant, 'redundant product')}"
        )
        note = f"{more:,} more groups with --json\n{counts}" if more > 0 else counts
        return [Grid(("products", "cosine", "same file", ""), rows, note)]

    def to_dict(self) -> dict[str, Any]:
        """The groups and the number of redundant products."""
        return {"groups": plain(self.groups), "redundant": self.redundant}


class Index:
    """An index of products. Use it as a context manager, or `close` it.

    Searches follow changes by other processes; each search sees a single state. The models are
    loaded by the first search.

    Args:
        path: index folder.
        engine: Milvus URL to retrieve candidates with; default: the embedded retriever.
    """

    def __init__(self, path: str | Path, engine: str | None = None) -> None:
        self.path, self.engine = Path(path), engine
        _ = self.generation  # reports what is not an index

    @property
    def generation(self) -> Generation:
        """The current state of the index: counts, models, settings and segments."""
        return read_generation(self.path)

    @cached_property
    def searcher(self) -> Searcher:
        """The opened searcher of the layer below."""
        from shopsight.search.searcher import Searcher

        return Searcher.open(self.path, self.engine)

    def search(
        self, query: str, k: int = 10, filters: Filters | None = None, **options: Any
    ) -> SearchResults:
        """Search an index.

        The dual encoder retrieves candidates; the run's ensemble re-ranks them.

        Args:
            query: text query; a blank one browses all products.
            k: maximum number of products.
            filters: by field: a value, a range such as "10..20", "..50", ">=10", or a list of
                alternatives; "-field" excludes.
            options: other fields of `shopsight.search.options.SearchOptions`: offset, sort,
                candidates, rerank, explain, facets.

        Raises:
            UsageError: an unknown field or an invalid value of a filter.
        """
        return self._shown(self.searcher.search(query, k, filters=_texts(filters), **options))

    def search_many(
        self, queries: Sequence[str], k: int = 10, filters: Filters | None = None, **options: Any
    ) -> list[SearchResults]:
        """`search` for several queries at once, which is faster than one after the other."""
        every = self.searcher.search_many(list(queries), k, filters=_texts(filters), **options)
        return [self._shown(results) for results in every]

    def similar(
        self, product_id: str, k: int = 10, filters: Filters | None = None, offset: int = 0
    ) -> SearchResults:
        """Products similar to one in the index. Raises UsageError if it is not there."""
        chosen = _texts(filters)
        return self._shown(self.searcher.similar(product_id, k, offset=offset, filters=chosen))

    def search_photo(
        self,
        photo: bytes | str | Path | NDArray[np.uint8],
        k: int = 10,
        filters: Filters | None = None,
        offset: int = 0,
    ) -> SearchResults:
        """Products similar to a photo: a file, its bytes, or (H, W, 3) uint8 RGB.

        Raises:
            UsageError: not a photo, or the index has no region extractor.
        """
        if isinstance(photo, str | Path):
            photo = _content(Path(photo))
        chosen = _texts(filters)
        return self._shown(self.searcher.search_photo(photo, k, offset=offset, filters=chosen))

    def add(self, data: Data, progress: Progress = no_progress) -> None:
        """Add the products of a prepared folder to an index, which may be searched meanwhile.

        The index must not hold any of them; see `index update`.
        """
        _changes().add_products(self.path, as_data(data), progress)

    def update(self, data: Data, progress: Progress = no_progress) -> None:
        """Add the products of a prepared folder to an index, replacing those that exist.

        The index may be searched meanwhile. A table with product ids and fields, instead of a
        prepared folder, changes these fields without reading photos; an empty cell empties one.
        """
        if isinstance(data, str | Path) and Path(data).is_file():
            self.update_fields(_field_changes(data), progress)
        else:
            _changes().update_products(self.path, as_data(data), progress)

    def update_fields(
        self, changes: Mapping[str, Mapping[str, Any]], progress: Progress = no_progress
    ) -> None:
        """Change fields of products without reading photos: new cells by product and field.

        None empties a cell. All changes are made, or none. Raises UsageError for an unknown product
        or field, or a value that is not of the field's type.
        """
        _changes().update_fields(self.path, changes, progress)

    def remove(self, product_ids: Sequence[str], progress: Progress = no_progress) -> None:
        """Remove products from an index, which may be searched meanwhile.

        If an id is unknown, nothing is removed.
        """
        _changes().remove_products(self.path, product_ids, progress)

    def compact(self, progress: Progress = no_progress) -> None:
        """Rewrite an index as one segment without removed products.

        Changes do so themselves when there are many segments or removed products.
        """
        _changes().compact_index(self.path, progress)

    def check(self, progress: Progress = no_progress) -> None:
        """Read every file of an index and compare it with its checksum.

        Raises:
            DataError: the first file that is missing or changed.
        """
        _changes().check_index(self.path, progress)

    def stats(self) -> dict[str, Any]:
        """Show products, bytes, models, settings and segments of an index."""
        stats: dict[str, Any] = _changes().index_stats(self.path)
        return stats

    def load(self, engine: str, progress: Progress = no_progress) -> None:
        """Load an index into a Milvus server or a Milvus Lite file, or bring one up to date.

        Args:
            engine: Milvus server or file.
        """
        from shopsight.search.retrievers.factory import load_retriever

        load_retriever(engine, self.path, progress)

    @takes(DedupeConfig)
    def duplicates(self, progress: Progress = no_progress, **settings: Any) -> Duplicates:
        """Find near-duplicate products of an index.

        They are neighbours by dual-encoder vectors whose photos differ in a few bits of their
        difference hashes only.
        """
        from shopsight.search.duplicates import find_duplicates
        from shopsight.search.snapshot import Snapshot

        (config,) = build_settings(settings, DedupeConfig)
        return Duplicates(tuple(find_duplicates(Snapshot.current(self.path), config, progress)))

    def close(self) -> None:
        """Release the retriever."""
        if "searcher" in vars(self):
            self.searcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Index({str(self.path)!r}, {self.generation.products:,} products)"

    def _shown(self, results: Results) -> SearchResults:
        return SearchResults(results, self.searcher.photo)


def open_index(path: str | Path, engine: str | None = None) -> Index:
    """Open an index with its models, ready to search.

    Args:
        path: index folder.
        engine: Milvus URL to retrieve candidates with; default: the embedded retriever.

    Raises:
        DataError: the folder is not an index, or is damaged.
    """
    index = Index(path, engine)
    _ = index.searcher  # reports what is missing or damaged
    return index


def _changes() -> ModuleType:
    """The module that changes indexes; it loads torch, and reading help should not."""
    from shopsight.search import index

    return index


def _field_changes(path: str | Path) -> dict[str, dict[str, Any]]:
    """New cells by product and field, from a table with a column of product ids."""
    from shopsight.formats.dataset_tables import open_table
    from shopsight.formats.fields import match_column
    from shopsight.prepare.photos.columns import COMMON_NAMES, product_id

    table = open_table(str(path))
    column = match_column(table.names, COMMON_NAMES["id"])
    if not column:
        names = ", ".join(table.names)
        raise InputError(f"no column of product ids (product_id, id, sku...): {names}", path=path)
    changes: dict[str, dict[str, Any]] = {}
    for row in table.rows():
        if row.fault is not None:
            raise row.fault
        try:
            product = product_id(row.values.get(column))
        except ValueError as error:
            raise InputError(str(error), path=path, line=row.line) from error
        if product in changes:
            raise InputError(f"duplicate product id '{product}'", path=path, line=row.line)
        cells = {name: value for name, value in row.values.items() if name != column}
        changes[product] = {name: None if value == "" else value for name, value in cells.items()}
    return changes


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError((error.strerror or str(error)).lower(), path=path) from error


def _cell(hit: Hit, name: str) -> str:
    text = str(hit.fields.get(name, ""))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _texts(filters: Filters | None) -> dict[str, Any]:
    """Filter values as text: True is "true", 50 is "50"."""

    def text(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    return {
        field: text(value) if isinstance(value, str) or not isinstance(value, Iterable)
        else [text(item) for item in value]
        for field, value in (filters or {}).items()
    }  # fmt: skip
