"""The log of what was asked, shown and clicked, a line each; ``shopsight judge`` learns from it."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shopsight.errors import OutputError


class QueryLog:
    """Appends JSON lines to a file: searches with the products shown, and clicks.

    Nothing of the client is written. Several servers may append to one file.

    Args:
        path: the file; it is made where there is none.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self._lock = threading.Lock()
        try:
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise OutputError(f"{path}: {(error.strerror or '').lower()}") from None

    def searched(self, query: str, products: Sequence[str]) -> None:
        """A query was answered with these products, best first."""
        self._write("search", query=query, products=list(products))

    def clicked(self, query: str, product: str) -> None:
        """One of the products that a query found was opened."""
        self._write("click", query=query, product=product)

    def close(self) -> None:
        """Nothing further is written."""
        self._file.close()

    def _write(self, event: str, **what: Any) -> None:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": moment, "event": event, **what}) + "\n"
        with self._lock:
            self._file.write(line.encode("ascii"))
