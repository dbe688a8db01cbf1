"""Protocol of candidate retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from shopsight.types import IntArray, Progress, no_progress

if TYPE_CHECKING:
    from shopsight.search.conditions import Condition
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

    def query(self, i: int) -> QueryBatch:
        """A single query."""
        return QueryBatch(self.vectors[i : i + 1], self.texts and self.texts[i : i + 1])


@dataclass(frozen=True, eq=False)
class Candidates:
    """Products retrieved for one query: (n,) rows of the snapshot, best first, and scores."""

    rows: IntArray
    scores: Vectors


class Retriever(Protocol):
    """Retrieves candidates from an index.

    Every call receives the snapshot to work on, because an open retriever outlives the states of
    an index that others change.
    """

    name: str

    def add(self, snapshot: Snapshot, progress: Progress = no_progress) -> None:
        """Add the snapshot's products that the retriever lacks."""

    def remove(self, snapshot: Snapshot) -> None:
        """Remove the products that the snapshot does not hold."""

    def search(
        self, snapshot: Snapshot, queries: QueryBatch, k: int, filters: Sequence[Condition]
    ) -> list[Candidates]:
        """Retrieve at most ``k`` products per query among those that meet all filters."""

    def count(self, snapshot: Snapshot) -> int:
        """Number of products held of the snapshot's index."""

    def close(self) -> None:
        """Release resources."""


def without_password(url: str) -> str:
    """A URL for messages.

    >>> without_password("http://user:secret@host:19530")
    'http://host:19530'
    """
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
