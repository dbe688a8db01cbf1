"""What recalls: the embedded engine, or a server, chosen by URL, behind one small interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shopsight.errors import UsageError
from shopsight.search.filters import Filter
from shopsight.search.retrievers.faiss import Vectors
from shopsight.search.snapshot import Snapshot
from shopsight.types import IntArray

EMBEDDED = "embedded"


class Retriever(Protocol):
    """Finds the products whose vectors are nearest to a query's.

    Attributes:
        name: what `Searcher.info` calls it.
    """

    name: str

    def search(
        self, snapshot: Snapshot, queries: Vectors, depth: int, conditions: Sequence[Filter]
    ) -> tuple[list[IntArray], list[Vectors]]:
        """The nearest products of each query, among those that meet all conditions.

        Args:
            snapshot: the index's current state; what it does not hold is not found.
            queries: (Q, D) of length 1.
            depth: most products for each.
            conditions: on fields.

        Returns:
            For each query, (n,) rows of the snapshot, best first, and their cosines.
        """
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class FaissRetriever:
    """Recalls in this process, from the index's own files."""

    name = EMBEDDED

    def search(
        self, snapshot: Snapshot, queries: Vectors, depth: int, conditions: Sequence[Filter]
    ) -> tuple[list[IntArray], list[Vectors]]:
        """See `Retriever.search`."""
        rows, near = snapshot.nearest(queries, depth, snapshot.allowed(conditions))
        kept = rows >= 0
        return (
            [one[here] for one, here in zip(rows, kept, strict=True)],
            [one[here] for one, here in zip(near, kept, strict=True)],
        )

    def close(self) -> None:
        """Nothing to do."""


def open_retriever(url: str | None, snapshot: Snapshot) -> Retriever:
    """The engine of a URL.

    Args:
        url: None or "embedded"; ``http://host:port`` of a Milvus server, with ``user:password@``
            before the host where it asks for them; or a file ending in ``.db`` for Milvus Lite.
        snapshot: the index that is searched.

    Raises:
        UsageError: no such engine; its client is not installed; it does not answer.
        DataError: it does not hold the index, or another state of it.
    """
    if url is None or url == EMBEDDED:
        return FaissRetriever()
    if url.startswith(("http://", "https://")) or url.endswith(".db"):
        from shopsight.search.retrievers.milvus import MilvusRetriever

        return MilvusRetriever.open(url, snapshot)
    raise UsageError(
        f"'{url[:200]}' is no engine: leave it out for the embedded one, or give the URL of a"
        " Milvus server (http://host:19530) or a Milvus Lite file (name.db)"
    )
