"""Append-only files of JSON lines: the query log and the access log."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shopsight.data.click_labels import LOG_VERSION
from shopsight.errors import OutputError


class JsonLog:
    """Append-only log of JSON objects, each with the time; "-" is the standard output."""

    def __init__(self, path: str | Path) -> None:
        self._lock = threading.Lock()
        # Unbuffered appends of one line are atomic, so several servers can share the file and a
        # killed one loses nothing.
        try:
            target = 1 if str(path) == "-" else path
            self._file = open(target, "ab", buffering=0, closefd=target != 1)  # noqa: SIM115
        except OSError as error:
            raise OutputError(f"{path}: {(error.strerror or '').lower()}") from None

    def write(self, **values: Any) -> None:
        """Append a line."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        # ASCII escapes keep a text with line breaks or lone surrogates on one valid line.
        line = json.dumps({"time": moment, **values}) + "\n"
        with self._lock:
            self._file.write(line.encode("ascii"))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class QueryLog(JsonLog):
    """Log of settled searches and of what followed; contains no data about the client."""

    def event(self, kind: str, query: str, search_id: str, **values: Any) -> None:
        """Log the products shown for a query, or a click, or another event of a product."""
        head = {"version": LOG_VERSION, "kind": kind, "search_id": search_id, "query": query}
        self.write(**head, **values)
