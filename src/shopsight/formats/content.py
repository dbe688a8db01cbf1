"""Open input files with automatic detection of compression, encoding and line ends."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from shopsight.errors import InputError
from shopsight.formats.encoding import to_utf8

STDIN = "-"
BOM = b"\xef\xbb\xbf"
_ARROW_CODECS = {b"\x04\x22\x4d\x18": "lz4", b"\x28\xb5\x2f\xfd": "zstd"}


@contextmanager
def open_input(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes, decompressed (see `decompressed`); "-" is standard input.

    Raises:
        InputError: no such file, a folder, no permission; also for read errors inside the block,
            such as a truncated gzip stream.
    """
    with read_errors(path):
        if str(path) == STDIN:
            yield decompressed(standard_input())
            return
        with open(path, "rb") as file:
            yield decompressed(file)


@contextmanager
def read_errors(path: str | Path) -> Iterator[None]:
    """Turn the errors of opening and reading in the block into an InputError."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise InputError(f"broken gzip stream ({error})", path=path) from error
    except OSError as error:
        raise InputError((error.strerror or str(error)).lower(), path=path) from error


def standard_input() -> IO[bytes]:
    """Standard input as bytes. Raises InputError if the process has none."""
    if sys.stdin is None:
        raise InputError("standard input is closed", path=STDIN)
    return cast(IO[bytes], sys.stdin.buffer)


def decompressed(file: Any) -> IO[bytes]:
    """A buffered stream, wrapped in a decompressor if it is gzip, bzip2, xz, lz4 or zstd."""
    # The ending of the name is no evidence, and standard input has none.
    head = file.peek(6)[:6]
    if head[:2] == b"\x1f\x8b":
        file = gzip.GzipFile(fileobj=file)
    elif head[:3] == b"BZh" and head[3:4].isdigit():
        file = bz2.BZ2File(file)
    elif head == b"\xfd7zXZ\x00":
        file = lzma.LZMAFile(file)  # noqa: SIM115 - the caller closes the file below it
    elif codec := _ARROW_CODECS.get(head[:4]):
        import pyarrow as pa

        file = io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(file), codec))
    return cast(IO[bytes], file)


def read_bytes(path: str | Path) -> bytes:
    """The content of a file, decompressed; see `open_input`."""
    with open_input(path) as stream:
        return stream.read()


def read_text(path: str | Path) -> str:
    """Read a UTF-8 or UTF-16 file, plain or gzipped; "-" is standard input.

    Raises:
        InputError: no such file, a folder, broken gzip, binary or otherwise not UTF-8, empty.
    """
    return decode_file(read_bytes(path), path)


def decode_file(data: bytes, path: str | Path) -> str:
    """Decode the whole content of a file; see `read_text`."""
    text = decode(utf8_content(data, path), path)
    if not text.strip():
        raise InputError("the file is empty", path=path)
    return text


def utf8_content(data: bytes, path: str | Path) -> bytes:
    """The whole content of a file as UTF-8. Raises InputError for broken UTF-16."""
    try:
        return to_utf8(data)
    except UnicodeDecodeError as error:
        reason = f"broken {error.encoding.upper()} text ({error.reason}); save it as UTF-8"
        raise InputError(reason, path=path) from error


def decode(data: bytes, path: str | Path, line: int = 1) -> str:
    """Decode text that begins at a line. Raises InputError for other than UTF-8, and for nulls."""
    if b"\0" in data:
        line += data[: data.index(b"\0")].count(b"\n")
        raise InputError("binary data, not text", path=path, line=line)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = error.start - before.rfind(b"\n")
        reason = f"not UTF-8 text (byte {column} of the line), perhaps Latin-1; save it as UTF-8"
        raise InputError(reason, path=path, line=line + before.count(b"\n")) from error


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    r"""The lines that are not blank, with their numbers from 1.

    >>> list(numbered_lines("a\r\n\nb"))
    [(1, 'a'), (3, 'b')]
    """
    number, start = 1, 0
    # Not text.split: who needs only the first lines should not pay for all of them.
    while start <= len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        if (line := text[start:end]).strip():
            yield number, line.removesuffix("\r")
        number, start = number + 1, end + 1


class JsonObject(list[tuple[str, Any]]):
    """A JSON object as (key, value) pairs, which keep duplicate keys."""


def is_json(text: str) -> bool:
    """Whether a text is meant as JSON: it starts like an object or a list."""
    return bool(re.match(r"\s*(\{|\[\s*[\[\]{\"0-9-])", text))


def parse_json(text: str, path: str | Path, line: int = 1) -> Any:
    """Parse JSON that begins at a line; objects become `JsonObject`.

    Raises:
        InputError: not JSON, with line and column; truncated; nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=JsonObject)
    except json.JSONDecodeError as error:
        cut_off = not text[error.pos :].strip() or error.msg.startswith("Unterminated string")
        reason = "broken JSON, cut off here" if cut_off else f"broken JSON: {error.msg.lower()}"
        number = line + error.lineno - 1
        raise InputError(reason, path=path, line=number, column=error.colno) from error
    except RecursionError as error:
        raise InputError("JSON is nested too deeply", path=path) from error
    except ValueError as error:
        # Python limits the digits of an integer it converts.
        raise InputError("JSON holds a number of thousands of digits", path=path) from error
