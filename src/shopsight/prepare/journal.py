"""What makes a long preparation survive being killed: growing files and a journal of lengths.

Everything that is written while rows stream by only ever grows. From time to time the lengths
are noted: first the files are synced, then the journal is replaced. A run that is killed
leaves files that are at least as long as the journal says; the next run cuts them back to
those lengths and goes on from there, so the result has the same bytes.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from numpy.typing import DTypeLike

from shopsight.errors import OutputError
from shopsight.formats.append_npy import AppendableArray, AppendableBytes
from shopsight.formats.atomic import write_json
from shopsight.formats.locks import folder_lock

State = dict[str, Any]


class GrowingFiles:
    """The growing arrays of a preparation, by name; opened at their noted length."""

    def __init__(self, folder: Path, lengths: dict[str, int]) -> None:
        self.folder = folder
        self._kept = dict(lengths)
        self._open: dict[str, AppendableArray] = {}

    def array(
        self, name: str, dtype: DTypeLike, row_shape: tuple[int, ...] = ()
    ) -> AppendableArray:
        """The array ``name`` (a path below the folder), continued if it was noted before."""
        if name not in self._open:
            path = self.folder / f"{name}.npy"
            rows = self._kept.get(name, 0)
            self._open[name] = AppendableArray(path, dtype, row_shape, rows)
        return self._open[name]

    def bytes_of(self, name: str) -> AppendableBytes:
        """The bare bytes ``name`` (a path below the folder, ending included), continued too."""
        if name not in self._open:
            self._open[name] = AppendableBytes(self.folder / name, self._kept.get(name, 0))
        found = self._open[name]
        assert isinstance(found, AppendableBytes)
        return found

    def lengths(self) -> dict[str, int]:
        """Rows of every array, those that were not opened this time included."""
        return self._kept | {name: array.rows for name, array in self._open.items()}

    def arrays(self) -> list[AppendableArray]:
        """The arrays that are open."""
        return list(self._open.values())

    def close(self) -> None:
        """Close every array."""
        for array in self._open.values():
            array.close()
        self._open.clear()


class Journal:
    """The state of a preparation on disk, noted in the background at most once a second."""

    def __init__(self, path: Path, every: float = 1.0) -> None:
        self.path = path
        self._every = every
        self._last = time.monotonic()
        self._thread = ThreadPoolExecutor(1)
        self._noting: Future[None] | None = None

    def read(self) -> State | None:
        """The last noted state; None if there is none that can be read."""
        try:
            state = json.loads(self.path.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return state if isinstance(state, dict) else None

    def offer(self, files: GrowingFiles, state: Callable[[], State]) -> None:
        """Note the state if the last time is long enough ago."""
        if self._noting and not self._noting.done():
            return
        if time.monotonic() - self._last >= self._every:
            self.note(files, state(), wait=False)

    def note(self, files: GrowingFiles, state: State, *, wait: bool = True) -> None:
        """Sync ``files``, then replace the journal; ``state`` must be of this moment."""
        self.wait()
        state = {**state, "lengths": files.lengths()}
        self._noting = self._thread.submit(self._write, files.arrays(), state)
        if wait:
            self.wait()
        self._last = time.monotonic()

    def wait(self) -> None:
        """Wait for the note under way; raises what went wrong with it."""
        if self._noting:
            self._noting.result()
            self._noting = None

    def close(self) -> None:
        """End the background thread."""
        self._thread.shutdown(wait=True)

    def _write(self, arrays: list[AppendableArray], state: State) -> None:
        for array in arrays:
            array.sync()
        write_json(self.path, state, indent=None)


def remove_abandoned(folder: Path) -> None:
    """Remove what a process that is gone left in ``folder``; nothing if one is at work there."""
    if not folder.is_dir():
        return
    with suppress(OutputError), folder_lock(folder):
        shutil.rmtree(folder)
