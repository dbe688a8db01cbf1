"""Advisory locks on folders."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shopsight.errors import OutputError
from shopsight.formats.atomic import make_folder, write_errors

LOCK_FILE = ".lock"


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the exclusive lock of a folder during the block; the folder is created if missing.

    Raises:
        OutputError: another process holds the lock, or the folder cannot be written.
    """
    make_folder(folder)
    with write_errors(folder):
        file = open(folder / LOCK_FILE, "a")  # noqa: SIM115 - closed below, which unlocks
    with file:
        try:
            # flock ends with its process, however that dies; a file with a process id would not.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(f"{folder}: another shopsight process is writing here") from error
        yield
