"""Log of queries, shown products and clicks, as JSON lines; ``shopsight judge`` reads it."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shopsight.errors import OutputError


class QueryLog:
    """Append-only log of searches and clicks; contains no data about the client."""

    def __init__(self, path: str | Path) -> None:
        self._lock = threading.Lock()
        # Unbuffered appends of one line are atomic, so several servers can share the file and a
        # killed one loses nothing.
        try:
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise OutputError(f"{path}: {(error.strerror or '').lower()}") from None

    def log_search(self, query: str, products: Sequence[str]) -> None:
        """Log a query with the ids of its hits, best first."""
        self._write("search", query=query, products=list(products))

    def log_click(self, query: str, product: str) -> None:
        """Log that a hit of the query was opened."""
        self._write("click", query=query, product=product)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, event: str, **values: Any) -> None:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        # ASCII escapes keep a query with line breaks or lone surrogates on one valid line.
        line = json.dumps({"time": moment, "event": event, **values}) + "\n"
        with self._lock:
            self._file.write(line.encode("ascii"))
