"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from shopsight.errors import OutputError


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    r"""Open a file that takes the place of ``path`` only once it is complete.

    What is written goes to a temporary name in the same folder; when the block ends well, it
    is synced to disk and renamed over ``path``. When the block raises, or the process dies,
    the old file stands as it was. Of a symbolic link, the file that it leads to is replaced.

    Args:
        path: where the file shall be; an existing one is replaced.
        mode: "w" for text (UTF-8, ``\n`` line ends) or "wb" for bytes.

    Raises:
        OutputError: see `resolve_output`; also no such folder, no permission, a full disk.
        ValueError: another mode.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(Path(folder) / "a.txt") as file:
    ...         _ = file.write("whole")
    ...     (Path(folder) / "a.txt").read_text()
    'whole'
    """
    if mode not in ("w", "wb"):
        raise ValueError(f"mode must be 'w' or 'wb', not {mode!r}")
    target = resolve_output(path)
    try:
        temporary, file = _open_beside(target, mode)
    except OSError as error:
        raise _refusal(target, error) from error
    try:
        try:
            yield _Guarded(file, target)  # type: ignore[misc]
            _sync(file, target)
        finally:
            with suppress(OSError):  # what cannot be written was said above
                file.close()
        _rename(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def resolve_output(path: str | Path) -> Path:
    """The file that writing to ``path`` replaces: behind symbolic links, which stay.

    Raises:
        OutputError: "-", for results need a file; a folder, a device, a pipe.
    """
    if str(path) == "-":
        raise OutputError("-: cannot write to standard output, name a file")
    target = Path(path)
    try:
        kind = stat.S_IFMT(target.stat().st_mode)
    except FileNotFoundError:
        kind = stat.S_IFREG
    except OSError as error:
        raise _refusal(target, error) from error
    if kind == stat.S_IFDIR:
        raise OutputError(f"{target}: cannot write a file here, it is a folder")
    if kind != stat.S_IFREG:
        raise OutputError(f"{target}: cannot write a file here, it is not a regular file")
    return Path(os.path.realpath(target)) if target.is_symlink() else target


class _Guarded:
    """The open file, whose failing writes name ``target`` and not the temporary name."""

    def __init__(self, file: IO[Any], target: Path) -> None:
        self._file, self._target = file, target

    def write(self, data: Any) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            raise _refusal(self._target, error) from error

    def writelines(self, lines: Any) -> None:
        try:
            self._file.writelines(lines)
        except OSError as error:
            raise _refusal(self._target, error) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _open_beside(target: Path, mode: str) -> tuple[Path, IO[Any]]:
    handle, name = tempfile.mkstemp(
        prefix=f".{target.name[:100]}.", suffix=".tmp", dir=target.parent
    )
    temporary = Path(name)
    try:
        os.fchmod(handle, _permissions(target))
        if mode == "wb":
            return temporary, os.fdopen(handle, "wb")
        return temporary, os.fdopen(handle, "w", encoding="utf-8", newline="\n")
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _permissions(target: Path) -> int:
    """Those of the file that is replaced, else what a plain ``open`` would give."""
    with suppress(OSError):
        return target.stat().st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def _sync(file: IO[Any], target: Path) -> None:
    try:
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise _refusal(target, error) from error


def _rename(temporary: Path, target: Path) -> None:
    try:
        temporary.replace(target)
    except OSError as error:
        raise _refusal(target, error) from error
    with suppress(OSError):  # not every file system lets a folder be synced
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _refusal(target: Path, error: OSError) -> OutputError:
    if isinstance(error, FileNotFoundError):
        return OutputError(f"{target}: cannot write, the folder {target.parent} does not exist")
    return OutputError(f"{target}: cannot write, {(error.strerror or str(error)).lower()}")
