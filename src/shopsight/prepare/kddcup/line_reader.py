"""Read raw files as chunks of whole lines: plain, gzip or standard input, in bounded memory."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from shopsight.errors import InputError
from shopsight.formats.content import STDIN, decompressed, standard_input

# A chunk is also the longest line. The largest real product, of 91 regions, takes 1 MB of text, so
# the limit leaves room. Small chunks stay in the processor's cache.
CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class LinePosition:
    """Position in a stream: everything a resumed reader needs.

    Attributes:
        offset: bytes read of the (decompressed) stream, always at the start of a line.
        crc: CRC-32 of the bytes read, for standard input; else 0.
    """

    offset: int = 0
    crc: int = 0


class LineReader:
    """Reads whole lines from ``start`` on into buffers of the caller.

    Gzip is recognised by content, "-" is standard input. Streams that cannot seek are read and
    discarded up to ``start``.

    Attributes:
        position: end of the lines returned so far.

    Raises:
        InputError: unreadable file, broken gzip stream, a line that does not fit the buffer,
            or standard input that differs from the stream read before.
    """

    def __init__(self, path: Path | str, start: LinePosition | None = None) -> None:
        self.path = path
        self.position = start or LinePosition()
        self._is_stdin = str(path) == STDIN
        self._rest = b""  # start of a line whose end has not been read yet
        self._ended = False
        self._open()
        self._skip(self.position)

    def fill(self, buffer: memoryview) -> int:
        """Fill ``buffer`` with as many whole lines as fit; returns the bytes used, 0 at the end.

        Only the last line of the stream may lack its line end.
        """
        used = len(self._rest)
        buffer[:used] = self._rest
        while used < len(buffer) and not self._ended:
            count = self._read_into(buffer[used:])
            used += count
            self._ended = count == 0
        cut = used if self._ended else _end_of_last_line(buffer[:used])
        if used and not cut:
            reason = f"a line is longer than {len(buffer) >> 20} MiB"
            raise InputError(f"{reason} (after byte {self.position.offset})", path=self.path)
        self._rest = bytes(buffer[cut:used])
        crc = zlib.crc32(buffer[:cut], self.position.crc) if self._is_stdin else 0
        self.position = LinePosition(self.position.offset + cut, crc)
        return cut

    def raw_offset(self) -> int:
        """Bytes of the file itself read so far (compressed bytes for gzip), for progress."""
        return self.position.offset if self._stream is self._file else self._file.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
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
        # A pipe has no identity; the checksum detects that another stream is piped in.
        left, crc = start.offset, 0
        while left and (block := self._stream.read(min(left, CHUNK_BYTES))):
            crc, left = zlib.crc32(block, crc), left - len(block)
        if left or crc != start.crc:
            reason = (
                "not the stream of the interrupted run; delete the .partial folder to start over"
            )
            raise InputError(reason, path=self.path)

    def _read_into(self, buffer: memoryview) -> int:
        try:
            return int(self._stream.readinto(buffer))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"broken gzip stream ({error})", path=self.path) from error
        except OSError as error:
            raise InputError((error.strerror or str(error)).lower(), path=self.path) from error


def _end_of_last_line(buffer: memoryview, block: int = 1 << 16) -> int:
    """Position after the last line end; 0 without one. Searches backwards, block by block."""
    for end in range(len(buffer), 0, -block):
        start = max(end - block, 0)
        position = bytes(buffer[start:end]).rfind(b"\n")
        if position >= 0:
            return start + position + 1
    return 0
