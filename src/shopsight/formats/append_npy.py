"""``.npy`` files that are memory-mapped, or grow and are truncated; growing bare bytes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from shopsight.errors import DataError, OutputError
from shopsight.types import AnyArray

# Not every system has the cheaper call.
_sync = getattr(os, "fdatasync", os.fsync)


def map_npy(path: Path, remedy: str) -> AnyArray:
    """Memory-map an array. Raises DataError with the remedy if it is missing or damaged.

    The result is a plain array: indexing a ``np.memmap`` costs several times as much.
    """
    try:
        array: AnyArray = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing; {remedy}") from error
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path}: not a readable .npy file; {remedy}") from error
    return np.asarray(array)


class AppendableArray:
    """An ``.npy`` file (format 1.0) that grows by rows; valid after every `sync`.

    An existing file is continued after its first ``rows`` rows; the rest is truncated.
    """

    # Fixed, unlike numpy's, so that more rows never move the data.
    header_bytes = 128

    def __init__(
        self, path: Path, dtype: DTypeLike, row_shape: tuple[int, ...] = (), rows: int = 0
    ) -> None:
        self.path = path
        self.dtype = np.dtype(dtype)
        self.row_shape = row_shape
        self.row_bytes = self.dtype.itemsize * int(np.prod(row_shape, dtype=np.int64))
        self.rows = rows
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        os.ftruncate(self._file, self.header_bytes + rows * self.row_bytes)
        os.lseek(self._file, 0, os.SEEK_END)

    def append(self, rows: AnyArray) -> None:
        """Append rows (n, *row_shape). Raises OutputError, such as on a full disk."""
        block = np.ascontiguousarray(rows, self.dtype)
        view = memoryview(block.reshape(-1).view(np.uint8).data)
        try:
            # A write may stop half way, at 2 GiB or when the disk is nearly full.
            while len(view):
                view = view[os.write(self._file, view) :]
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            advice = "run the same command again to continue"
            raise OutputError(f"{self.path}: cannot write, {reason}; {advice}") from error
        self.rows += len(block)

    def read(self) -> AnyArray:
        """A copy of all rows so far (rows, *row_shape)."""
        shape = (self.rows, *self.row_shape)
        if not self.rows:
            return np.empty(shape, self.dtype)
        return np.array(np.memmap(self.path, self.dtype, "r", self.header_bytes, shape))

    def sync(self) -> None:
        """Write the header for the rows so far and wait until everything is on disk."""
        if self.header_bytes:
            os.pwrite(self._file, _header(self.dtype, (self.rows, *self.row_shape)), 0)
        _sync(self._file)

    def close(self) -> None:
        """Close the file without a sync."""
        os.close(self._file)


class AppendableBytes(AppendableArray):
    """A file of bare bytes that grows; an existing one is continued after ``size`` bytes."""

    header_bytes = 0

    def __init__(self, path: Path, size: int = 0) -> None:
        super().__init__(path, np.uint8, (), size)

    def extend(self, data: bytes) -> None:
        """Append bytes."""
        self.append(np.frombuffer(data, np.uint8))


def _header(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> bytes:
    """Magic and header of npy format 1.0, padded to the fixed length."""
    text = f"{{'descr': '{dtype.str}', 'fortran_order': False, 'shape': {shape}, }}"
    padded = text.encode().ljust(AppendableArray.header_bytes - 11) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded
