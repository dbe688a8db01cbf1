"""Candidate retrieval: the protocol, and the choice of a retriever by URL."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from shopsight.errors import DataError, UsageError
from shopsight.types import IntArray, Progress, no_progress

if TYPE_CHECKING:
    from shopsight.search.filters import Filter
    from shopsight.search.snapshot import Snapshot

Vectors = NDArray[np.float32]

EMBEDDED = "embedded"


@dataclass(frozen=True, eq=False)
class QueryBatch:
    """Q queries, in every form that a retriever may read.

    Attributes:
        vectors: (Q, D) dual-encoder vectors of length 1.
        texts: the Q texts; None where the query is a product or a photo.
    """

    vectors: Vectors
    texts: Sequence[str] | None = None


@dataclass(frozen=True, eq=False)
class Candidates:
    """Products retrieved for one query: (n,) rows of the snapshot, best first, and scores."""

    rows: IntArray
    scores: Vectors


class Retriever(Protocol):
    """Retrieves candidates from an index.

    Every call receives the snapshot to work on, because an open retriever outlives the states of
    an index that others change.

    Attributes:
        name: shown by `Searcher.info`.
    """

    name: str

    def add(self, snapshot: Snapshot, progress: Progress = no_progress) -> None:
        """Add the snapshot's products that the retriever lacks."""
        ...

    def remove(self, snapshot: Snapshot) -> None:
        """Remove the products that the snapshot does not hold."""
        ...

    def search(
        self, snapshot: Snapshot, queries: QueryBatch, k: int, filters: Sequence[Filter]
    ) -> list[Candidates]:
        """Retrieve at most ``k`` products per query among those that meet all filters."""
        ...

    def count(self, snapshot: Snapshot) -> int:
        """Number of products held of the snapshot's index."""
        ...

    def close(self) -> None:
        """Release resources."""
        ...


def open_retriever(url: str | None, snapshot: Snapshot) -> Retriever:
    """Open the retriever of a URL for searching.

    Args:
        url: None or "embedded"; ``http://[user:password@]host:port`` of a Milvus server; or a
            Milvus Lite file ``name.db``.
        snapshot: the index to search.

    Raises:
        UsageError: unknown URL, missing client package, or no answer.
        DataError: the retriever does not hold the index's products.
    """
    retriever = _connect(url, snapshot)
    try:
        _check_count(retriever, snapshot, f"load them: shopsight index load INDEX --engine {url}")
    except BaseException:
        retriever.close()
        raise
    return retriever


def load_retriever(url: str, path: str | Path, progress: Progress = no_progress) -> int:
    """Bring a retriever to the current state of an index.

    Returns:
        The number of products it then holds.

    Raises:
        UsageError: unknown URL, missing client package, or no answer.
        DataError: not an index, or products were lost on the way.
    """
    from shopsight.search.snapshot import Snapshot

    snapshot = Snapshot.current(path)
    with closing(_connect(url, snapshot)) as retriever:
        retriever.remove(snapshot)
        retriever.add(snapshot, progress)
        return _check_count(retriever, snapshot, "try again")


def without_password(url: str) -> str:
    """A URL for messages.

    >>> without_password("http://user:secret@host:19530")
    'http://host:19530'
    """
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _connect(url: str | None, snapshot: Snapshot) -> Retriever:
    if url is None or url == EMBEDDED:
        from shopsight.search.retrievers.faiss import FaissRetriever

        return FaissRetriever()
    if url.startswith(("http://", "https://")) or url.endswith(".db"):
        from shopsight.search.retrievers.milvus import MilvusRetriever

        return MilvusRetriever.connect(url, snapshot)
    raise UsageError(
        f"unknown engine '{without_password(url)[:200]}': expected a Milvus server"
        " (http://host:19530) or a Milvus Lite file (name.db); omit it for the embedded engine"
    )


def _check_count(retriever: Retriever, snapshot: Snapshot, remedy: str) -> int:
    count, expected = retriever.count(snapshot), snapshot.generation.products
    if count != expected:
        raise DataError(
            f"{retriever.name} holds {count:,} of the index's {expected:,} products; {remedy}"
        )
    return count
