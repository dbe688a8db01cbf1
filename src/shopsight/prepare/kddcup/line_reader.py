"""Read raw files as chunks of whole lines: plain, gzip or standard input, in bounded memory."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from shopsight.errors import InputError
from shopsight.formats.content import STDIN, decompressed, read_errors, standard_input

# A chunk is also the longest line. The largest real product, of 91 regions, takes 1 MB of text, so
# the limit leaves room. Small chunks stay in the processor's cache.
CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class LinePosition:
    """Position in a stream, always at the start of a line.

    ``offset`` counts (decompressed) bytes; ``crc`` is their CRC-32 for standard input, else 0.
    """

    offset: int = 0
    crc: int = 0


class LineReader:
    """Reads chunks of whole lines from ``start`` on.

    Gzip is recognised by content, "-" is standard input. Streams that cannot seek are read and
    discarded up to ``start``. ``position`` is the end of the lines returned so far.

    Raises:
        InputError: unreadable file, broken gzip stream, a line that does not fit a chunk,
            or standard input that differs from the stream read before.
    """

    def __init__(self, path: Path | str, start: LinePosition | None = None) -> None:
        self.path, self.position = path, start or LinePosition()
        self._is_stdin = str(path) == STDIN
        self._rest = b""  # start of a line whose end has not been read yet
        with read_errors(path):
            self._file: Any = standard_input() if self._is_stdin else open(path, "rb")  # noqa: SIM115
            self._stream: Any = decompressed(self._file)
            self._skip(self.position)

    def read(self) -> bytes:
        """The next lines, empty at the end; only the last line may lack its line end."""
        with read_errors(self.path):
            block = self._stream.read(CHUNK_BYTES - len(self._rest))
        is_last = len(self._rest) + len(block) < CHUNK_BYTES
        cut = len(block) if is_last else block.rfind(b"\n") + 1
        if not is_last and not cut:
            reason = f"a line is longer than {CHUNK_BYTES >> 20} MiB"
            raise InputError(f"{reason} (after byte {self.position.offset})", path=self.path)
        lines = b"".join((self._rest, memoryview(block)[:cut]))
        self._rest = block[cut:]
        crc = zlib.crc32(lines, self.position.crc) if self._is_stdin else 0
        self.position = LinePosition(self.position.offset + len(lines), crc)
        return lines

    def raw_offset(self) -> int:
        """Bytes of the file itself read so far (compressed bytes for gzip), for progress."""
        return self.position.offset if self._stream is self._file else self._file.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_stdin:
            self._file.close()

    def _skip(self, start: LinePosition) -> None:
        if not self._is_stdin:
            self._stream.seek(start.offset)
            return
        # A pipe has no identity; the checksum detects that another stream is piped in.
        left, crc = start.offset, 0
        while left and (block := self._stream.read(min(left, CHUNK_BYTES))):
            crc, left = zlib.crc32(block, crc), left - len(block)
        if left or crc != start.crc:
            reason = "not the stream of the interrupted run"
            advice = "delete the .partial folder to start over"
            raise InputError(f"{reason}; {advice}", path=self.path)
