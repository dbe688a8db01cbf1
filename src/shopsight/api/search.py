"""An index of products: search, and changes while others search it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shopsight.api.data import as_data
from shopsight.data.dataset import PreparedData
from shopsight.errors import InputError, ShopsightError
from shopsight.search.index import (
    add_products,
    check_index,
    compact_index,
    remove_products,
    update_products,
)
from shopsight.search.results import Hit, Results
from shopsight.search.searcher import Searcher
from shopsight.tables import Grid, Tabular, abbreviated, html_table

Filters = Mapping[str, Any]
_FIELDS = 4  # shown per product
_LONGEST = 60


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
        note = f"{self.results.total:,} candidate products; {times}"
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
        return f"data:image/jpeg;base64,{base64.b64encode(photo).decode()}" if photo else ""


class Index:
    """An index of products. Use it as a context manager, or `close` it.

    Searches follow changes by other processes; each search sees a single state.
    """

    def __init__(self, path: str | Path, engine: str | None = None) -> None:
        self.path = Path(path)
        self._searcher = Searcher.open(path, engine)

    def search(
        self, query: str, k: int = 10, filters: Filters | None = None, **options: Any
    ) -> SearchResults:
        """The best products for a text query.

        Args:
            query: any text.
            k: maximum number of products.
            filters: by field: a value, or a range such as "10..20", "..50", ">=10".
            options: of `Searcher.search`: number of candidates, explanations, re-ranking.

        Raises:
            UsageError: an unknown field or an invalid value of a filter.
        """
        return self._shown(self._searcher.search(query, k, filters=_texts(filters), **options))

    def search_many(
        self, queries: Sequence[str], k: int = 10, filters: Filters | None = None, **options: Any
    ) -> list[SearchResults]:
        """`search` for several queries at once, which is faster than one after the other."""
        every = self._searcher.search_many(list(queries), k, filters=_texts(filters), **options)
        return [self._shown(results) for results in every]

    def similar(
        self, product_id: str, k: int = 10, filters: Filters | None = None
    ) -> SearchResults:
        """Products similar to one in the index. Raises UsageError if it is not there."""
        return self._shown(self._searcher.similar(product_id, k, filters=_texts(filters)))

    def search_photo(
        self,
        photo: bytes | str | Path | NDArray[np.uint8],
        k: int = 10,
        filters: Filters | None = None,
    ) -> SearchResults:
        """Products similar to a photo: a file, its bytes, or (H, W, 3) uint8 RGB.

        Raises:
            UsageError: not a photo, or the index has no region extractor.
        """
        if isinstance(photo, str | Path):
            photo = _content(Path(photo))
        return self._shown(self._searcher.search_photo(photo, k, filters=_texts(filters)))

    def add(self, data: PreparedData | str | Path) -> None:
        """Add the products of prepared data. Raises UsageError if one is there already."""
        add_products(self.path, as_data(data))

    def update(self, data: PreparedData | str | Path) -> None:
        """Add the products of prepared data, replacing those that are there."""
        update_products(self.path, as_data(data))

    def remove(self, product_ids: Sequence[str]) -> None:
        """Remove products. Raises UsageError, and removes none, if one is not there."""
        remove_products(self.path, product_ids)

    def compact(self) -> None:
        """Rewrite the index as one segment without the removed products."""
        compact_index(self.path)

    def check(self) -> None:
        """Verify all files. Raises DataError for the first that is missing or changed."""
        check_index(self.path)

    def stats(self) -> dict[str, Any]:
        """Number of products, models and their weights, settings, fields and version."""
        return self._searcher.info()

    def close(self) -> None:
        """Release the retriever."""
        self._searcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Index({str(self.path)!r}, {self.stats()['products']:,} products)"

    def _shown(self, results: Results) -> SearchResults:
        return SearchResults(results, self._searcher.photo)


def open_index(path: str | Path, engine: str | None = None) -> Index:
    """Open an index.

    Args:
        path: the folder that `Ranker.build_index` wrote.
        engine: a Milvus URL to retrieve candidates with; default: the embedded retriever.

    Raises:
        DataError: the folder is not an index, or is damaged.
    """
    return Index(path, engine)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError((error.strerror or str(error)).lower(), path=path) from error


def _cell(hit: Hit, name: str) -> str:
    text = str(hit.fields.get(name, ""))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _texts(filters: Filters | None) -> dict[str, str]:
    """Filter values as text: True is "true", 50 is "50"."""
    return {
        field: str(value).lower() if isinstance(value, bool) else str(value)
        for field, value in (filters or {}).items()
    }
