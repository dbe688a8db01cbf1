"""Resumable preparations: append-only files plus a journal of their lengths.

Everything written while rows stream by only grows. From time to time the files are synced, and
then the journal with the state and the lengths of the files is replaced. Files of a killed process
are at least as long as the journal says; the next run truncates them to those lengths and resumes
there, so the result has the same bytes as an uninterrupted run.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from numpy.typing import DTypeLike

from shopsight.errors import InputError, OutputError, ShopsightError, UsageError
from shopsight.formats.append_npy import AppendableArray, AppendableBytes
from shopsight.formats.atomic import write_json
from shopsight.formats.locks import folder_lock

DATA, SPOOL, EXTRACTOR = "data", "spool", "extractor"
_JOURNAL = "journal.json"
_INTERVAL = 1.0  # seconds between two writes of the journal


@dataclass
class PrepareState:
    """Progress of a preparation, JSON-serialisable; ``fingerprint`` is of inputs and settings.

    ``skipped`` has, per group (split or table) and kind, the number of skipped rows and the first.
    """

    fingerprint: str
    feature_width: int = 0  # 0 before the first region
    skipped: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)  # of the append-only files

    def skip(self, group: str, kind: str, message: str, count: int = 1) -> None:
        """Count skipped rows; the message of the first of a kind is kept."""
        kinds = self.skipped.setdefault(group, {})
        kinds.setdefault(kind, {"count": 0, "first": message})["count"] += count

    def counts(self, meanings: dict[str, str]) -> dict[str, Any]:
        """The state's part of ``data.json``; skipped rows with the meaning of each kind."""
        skipped = {
            group: {kind: {"meaning": meanings[kind], **entry} for kind, entry in kinds.items()}
            for group, kinds in self.skipped.items()
        }
        names = ("fingerprint", "feature_width")
        return {**{name: getattr(self, name) for name in names}, "skipped": skipped}

    def no_valid_row(self, path: Path, line: int | None = None) -> InputError:
        """The error of an input without any valid row."""
        firsts = [entry["first"] for kinds in self.skipped.values() for entry in kinds.values()]
        first = f" (the first invalid one: {firsts[0]})" if firsts else ""
        return InputError(f"no valid row, nothing to prepare{first}", path=path, line=line)


State = TypeVar("State", bound=PrepareState)


class AppendableFiles:
    """The append-only files of a preparation by path below its folder."""

    def __init__(self, folder: Path, lengths: dict[str, int]) -> None:
        self._folder = folder
        self._saved = dict(lengths)
        self._open: dict[str, AppendableArray] = {}

    def array(
        self, name: str, dtype: DTypeLike, row_shape: tuple[int, ...] = ()
    ) -> AppendableArray:
        """The array ``NAME.npy``, truncated to its saved length when first opened."""
        if name not in self._open:
            path, rows = self._folder / f"{name}.npy", self._saved.get(name, 0)
            self._open[name] = AppendableArray(path, dtype, row_shape, rows)
        return self._open[name]

    def raw(self, name: str) -> AppendableBytes:
        """The file ``NAME`` without an array header, truncated likewise."""
        if name not in self._open:
            self._open[name] = AppendableBytes(self._folder / name, self._saved.get(name, 0))
        file = self._open[name]
        assert isinstance(file, AppendableBytes)
        return file

    def lengths(self) -> dict[str, int]:
        """Rows of every file, including files that this process has not opened."""
        return self._saved | {name: array.rows for name, array in self._open.items()}

    def sync(self) -> None:
        """Wait until the open files are on disk."""
        for array in list(self._open.values()):
            array.sync()

    def close(self) -> None:
        """Close every file."""
        for array in self._open.values():
            array.close()
        self._open.clear()


class Journal(Generic[State]):
    """State and append-only files of a preparation in a folder; use `open_journal`.

    The state is restored if its fingerprint matches and it ``is_current``, and the files are
    truncated to its lengths.
    """

    def __init__(
        self,
        folder: Path,
        state_type: type[State],
        fingerprint: str,
        is_current: Callable[[State], bool] = lambda _: True,
    ) -> None:
        self.folder = folder
        self._path = folder / _JOURNAL
        state = self._restore(state_type, fingerprint)
        self.state = state if is_current(state) else state_type(fingerprint)
        if not self.state.lengths:  # new, or left by a run with other inputs or settings
            for name in (DATA, SPOOL, EXTRACTOR):
                shutil.rmtree(folder / name, ignore_errors=True)
        for name in (DATA, SPOOL):
            (folder / name).mkdir(exist_ok=True)
        self.files = AppendableFiles(folder, self.state.lengths)
        self._last = time.monotonic()
        # Syncing takes long on slow disks; a thread keeps it off the reading loop.
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def checkpoint(self) -> None:
        """Save in the background unless the last save is recent or still being written."""
        is_writing = self._writing and not self._writing.done()
        if not is_writing and time.monotonic() - self._last >= _INTERVAL:
            self.save(wait=False)

    def save(self, *, wait: bool = True) -> None:
        """Sync the files, then replace the journal by the present state."""
        self._wait()
        self.state.lengths = self.files.lengths()
        # The background thread gets a copy: the state changes with the next chunk.
        state = asdict(self.state)
        self._writing = self._thread.submit(self._write, state)
        if wait:
            self._wait()
        self._last = time.monotonic()

    @property
    def is_saved(self) -> bool:
        """Whether a later run can resume."""
        return self._path.exists()

    def close(self) -> None:
        """End the background thread and close the files."""
        self._thread.shutdown(wait=True)
        self.files.close()

    def _restore(self, state_type: type[State], fingerprint: str) -> State:
        try:
            saved = json.loads(self._path.read_bytes())
        except (FileNotFoundError, ValueError):
            saved = None
        if isinstance(saved, dict) and saved.get("fingerprint") == fingerprint:
            return state_type(**saved)
        return state_type(fingerprint)

    def _wait(self) -> None:
        """Wait for the write in progress; raises its error."""
        if self._writing:
            self._writing.result()
            self._writing = None

    def _write(self, state: dict[str, Any]) -> None:
        # Files first: a journal that promised more than is on disk could not be resumed.
        self.files.sync()
        write_json(self._path, state, indent=None)


@contextmanager
def open_journal(
    out: Path,
    state_type: type[State],
    fingerprint: str,
    *,
    resume: bool = True,
    is_current: Callable[[State], bool] = lambda _: True,
    is_final: Callable[[ShopsightError], bool] | None = None,
) -> Iterator[Journal[State]]:
    """The journal of ``OUT.partial``, locked by this process.

    When the block raises, the folder is kept for the next run, except for input errors if nothing
    was saved yet or if ``is_final`` says that the same call can never succeed. Without ``resume``,
    or if the saved state is not ``is_current``, the work starts over; without ``resume``, nothing
    is kept after an error.

    Raises:
        OutputError: another process is preparing the same folder.
    """
    partial = partial_folder(out)
    with folder_lock(partial):
        if not resume:
            (partial / _JOURNAL).unlink(missing_ok=True)
        journal = Journal(partial, state_type, fingerprint, is_current)
        try:
            yield journal
        except BaseException as error:
            is_lost = isinstance(error, InputError | UsageError) and (
                not journal.is_saved or (is_final is not None and is_final(error))
            )
            if is_lost or not resume:
                journal.close()
                shutil.rmtree(partial)
            raise
        finally:
            journal.close()


def partial_folder(out: Path) -> Path:
    """The working folder of the preparation of ``out``."""
    return out.with_name(f"{out.name}.partial")


def remove_abandoned(out: Path) -> None:
    """Remove the working folder of a dead process; keep that of a running one."""
    partial = partial_folder(out)
    if partial.is_dir():
        with suppress(OutputError), folder_lock(partial):
            shutil.rmtree(partial)
