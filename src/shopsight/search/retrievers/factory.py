"""Choice of a retriever by URL."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from shopsight.errors import DataError, UsageError
from shopsight.search.retrievers.base import EMBEDDED, Retriever, without_password
from shopsight.search.retrievers.faiss import FaissRetriever
from shopsight.search.snapshot import Snapshot
from shopsight.types import Progress, no_progress


def open_retriever(url: str | None, snapshot: Snapshot) -> Retriever:
    """Open the retriever of a URL for searching an index, whose products it must hold.

    ``url`` is None or "embedded"; ``http://[user:password@]host:port`` of a Milvus server; or a
    Milvus Lite file ``name.db``. UsageError: unknown, its package is missing, or no answer.
    """
    retriever = _connect(url, snapshot)
    try:
        shown = without_password(url or EMBEDDED)
        _check_count(retriever, snapshot, f"run: shopsight index load INDEX --engine {shown}")
    except BaseException:
        retriever.close()
        raise
    return retriever


def load_retriever(url: str, path: str | Path, progress: Progress = no_progress) -> int:
    """Bring a retriever to the current state of an index; returns its number of products."""
    snapshot = Snapshot.current(path)
    with closing(_connect(url, snapshot)) as retriever:
        # Removal first: an updated product has the same id in its old and its new segment.
        retriever.remove(snapshot)
        retriever.add(snapshot, progress)
        return _check_count(retriever, snapshot, "try again")


def _connect(url: str | None, snapshot: Snapshot) -> Retriever:
    if url is None or url == EMBEDDED:
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
