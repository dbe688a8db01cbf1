"""Raw files as chunks of whole lines: plain, gzipped or standard input, in bounded memory."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shopsight.errors import InputError
from shopsight.formats.content import STDIN, decompressed, standard_input

# A chunk is also the longest line: a product with the 91 regions of the largest real one takes
# 1 MB of text, so nothing honest comes near it. Small chunks stay in the processor's cache.
CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class LinePosition:
    """How far a stream has been read: everything a resumed reader needs to know.

    Attributes:
        offset: bytes read of the (decompressed) stream, always at the start of a line.
        crc: CRC-32 of the bytes read; kept for standard input only, else 0.
    """

    offset: int = 0
    crc: int = 0


class LineReader:
    """Reads whole lines into buffers of the caller, from ``start`` on.

    A stream that cannot seek (gzip, standard input) is read and dropped up to ``start``.
    Gzip is recognised by content, "-" is standard input.

    Attributes:
        position: what has been handed out so far.

    Raises:
        InputError: unreadable file, broken gzip stream, a line that does not fit the buffer,
            or standard input that is not the stream that was read before.
    """

    def __init__(self, path: Path | str, start: LinePosition | None = None) -> None:
        self.path = path
        self.position = start or LinePosition()
        self._is_stdin = str(path) == STDIN
        self._kept = b""  # the start of a line whose end has not been read yet
        self._ended = False
        self._open()
        self._skip(self.position)

    def fill(self, buffer: memoryview) -> int:
        """Fill ``buffer`` with as many whole lines as fit; returns the bytes used, 0 at the end.

        Only the last line of the stream may lack its line end.
        """
        used = len(self._kept)
        buffer[:used] = self._kept
        while used < len(buffer) and not self._ended:
            count = self._read_into(buffer[used:])
            used += count
            self._ended = count == 0
        cut = used if self._ended else _end_of_last_line(buffer[:used])
        if used and not cut:
            reason = f"a line is longer than {len(buffer) >> 20} MiB"
            raise InputError(f"{reason} (after byte {self.position.offset})", path=self.path)
        self._kept = bytes(buffer[cut:used])
        crc = zlib.crc32(buffer[:cut], self.position.crc) if self._is_stdin else 0
        self.position = LinePosition(self.position.offset + cut, crc)
        return cut

    def raw_offset(self) -> int:
        """How far the file itself was read (compressed bytes for gzip), for progress."""
        return self.position.offset if self._stream is self._file else self._file.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._is_stdin:
            self._file.close()

    def _open(self) -> None:
        try:
            if self._is_stdin:
                self._file: Any = standard_input()
            else:
                self._file = open(self.path, "rb")  # noqa: SIM115 - closed by __exit__
            self._stream: Any = decompressed(self._file)
        except OSError as error:
            raise InputError((error.strerror or str(error)).lower(), path=self.path) from error

    def _skip(self, start: LinePosition) -> None:
        if not self._is_stdin:
            self._stream.seek(start.offset)
            return
        left, crc = start.offset, 0
        while left and (block := self._stream.read(min(left, CHUNK_BYTES))):
            crc, left = zlib.crc32(block, crc), left - len(block)
        if left or crc != start.crc:
            reason = "not the stream that was begun; delete the .partial folder to start over"
            raise InputError(reason, path=self.path)

    def _read_into(self, buffer: memoryview) -> int:
        try:
            return int(self._stream.readinto(buffer))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"broken gzip stream ({error})", path=self.path) from error
        except OSError as error:
            raise InputError((error.strerror or str(error)).lower(), path=self.path) from error


def _end_of_last_line(buffer: memoryview, block: int = 1 << 16) -> int:
    """Just after the last line end in ``buffer``; 0 if there is none. Searches backwards."""
    for end in range(len(buffer), 0, -block):
        start = max(end - block, 0)
        found = bytes(buffer[start:end]).rfind(b"\n")
        if found >= 0:
            return start + found + 1
    return 0


def read_all(path: Path, limit: int = CHUNK_BYTES) -> bytes:
    """The whole content of a small raw file. Raises InputError beyond ``limit`` bytes."""
    with LineReader(path) as reader:
        buffer = memoryview(bytearray(limit))
        content = bytes(buffer[: reader.fill(buffer)])
        if reader.fill(buffer):
            raise InputError(f"larger than {limit} bytes", path=path)
        return content
