"""Atomic writes: a file or folder appears complete under its name, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from shopsight.errors import OutputError
from shopsight.types import AnyArray


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    r"""Open a temporary file that replaces ``path`` when the block succeeds.

    The content is synced to disk before the rename, so a crash leaves either the old file or the
    new one. Of a symbolic link, the target is replaced. Mode "w" is for text (UTF-8, ``\n`` line
    ends), "wb" for bytes.

    Raises:
        OutputError: see `resolve_output`; also a missing folder, no permission, a full disk.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(Path(folder) / "a.txt") as file:
    ...         _ = file.write("whole")
    ...     (Path(folder) / "a.txt").read_text()
    'whole'
    """
    if mode not in ("w", "wb"):
        raise ValueError(f"mode must be 'w' or 'wb', not {mode!r}")
    text = {} if mode == "wb" else {"encoding": "utf-8", "newline": "\n"}
    with atomic_path(path) as temporary:
        file = open(temporary, mode, **text)  # type: ignore[call-overload]  # noqa: SIM115
        try:
            yield file
            file.close()
        except OSError as error:
            # A failing write has no file name; a failing open of another file has its own, and a
            # closed pipe is never the temporary file.
            if error.filename or isinstance(error, BrokenPipeError):
                raise
            raise _write_error(Path(path), error) from error
        finally:
            # On a full disk the second flush fails like the first, whose error is on its way.
            with suppress(OSError):
                file.close()


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield the path of a temporary file that replaces ``path`` when the block succeeds.

    For libraries that open the file themselves; see `atomic_write`.
    """
    target = resolve_output(path)
    with write_errors(target):
        # The temporary file has to be on the same file system, or the rename is a copy.
        handle, name = tempfile.mkstemp(".tmp", f".{target.name[:100]}.", target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with write_errors(target):
            temporary.chmod(_permissions(target))
            _sync(temporary)
            temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    # The rename itself is durable only once the folder is synced; some file systems cannot.
    with suppress(OSError):
        _sync(target.parent)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that is synced and renamed to ``path`` when the block succeeds.

    Raises:
        OutputError: the folder cannot be written; an ``OSError`` in the block counts as that.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    # A killed process leaves its folder behind; the name is fixed so that the next one finds it.
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with write_errors(path):
            temporary.mkdir(parents=True)
            yield temporary
            sync_folder(temporary)
            temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


@contextmanager
def write_errors(path: str | Path) -> Iterator[None]:
    """Turn an ``OSError`` in the block into an OutputError that names ``path``."""
    try:
        yield
    except OSError as error:
        raise _write_error(Path(path), error) from error


def write_json(path: str | Path, content: Any, indent: int | None = 1) -> None:
    """Write a JSON file atomically. Raises OutputError if it cannot be written."""
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=indent, ensure_ascii=False) + "\n")


def write_npy(path: str | Path, array: AnyArray) -> None:
    """Write an ``.npy`` file atomically. Raises OutputError if it cannot be written."""
    with atomic_write(path, "wb") as file:
        np.save(file, array, allow_pickle=False)


def sync_folder(folder: Path) -> None:
    """Wait until a folder and everything below it is on disk."""
    for path in [folder, *folder.rglob("*")]:
        _sync(path)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents. Raises OutputError if that fails."""
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


def resolve_output(path: str | Path) -> Path:
    """The file that writing to ``path`` replaces, symbolic links followed.

    Raises:
        OutputError: "-" (results need a file), a folder, a device or a pipe.
    """
    if str(path) == "-":
        raise OutputError("-: cannot write to standard output, name a file")
    target = Path(path)
    try:
        kind = stat.S_IFMT(target.stat().st_mode)
    except FileNotFoundError:
        kind = stat.S_IFREG
    except OSError as error:
        raise _write_error(target, error) from error
    if kind == stat.S_IFDIR:
        raise OutputError(f"{target}: cannot write a file here, it is a folder")
    # Replacing /dev/null or a pipe would destroy it for everybody else.
    if kind != stat.S_IFREG:
        raise OutputError(f"{target}: cannot write a file here, it is not a regular file")
    return Path(os.path.realpath(target)) if target.is_symlink() else target


def _permissions(target: Path) -> int:
    """Those of the file that is replaced, else those of a plain ``open``."""
    with suppress(OSError):
        return target.stat().st_mode & 0o777
    # The umask can only be read by setting it.
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_error(target: Path, error: OSError) -> OutputError:
    if isinstance(error, FileNotFoundError) and not target.parent.is_dir():
        return OutputError(f"{target}: cannot write, the folder {target.parent} does not exist")
    return OutputError(f"{target}: cannot write, {(error.strerror or str(error)).lower()}")
