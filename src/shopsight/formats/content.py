"""Files opened by content: gzip, byte order marks and CRLF are seen, not told."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from shopsight.errors import InputError

STDIN = "-"
BOM = b"\xef\xbb\xbf"


@contextmanager
def opened(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes, unpacked if it is gzipped; "-" is standard input.

    Raises:
        InputError: no such file, a folder, no permission; also for what goes wrong while it is
            read inside the block, such as a gzip stream that is cut off.
    """
    try:
        if str(path) == STDIN:
            yield unpacked(standard_input())
            return
        with open(path, "rb") as file:
            yield unpacked(file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"broken gzip stream ({error})", path=path) from error
    except OSError as error:
        raise InputError((error.strerror or str(error)).lower(), path=path) from error


def standard_input() -> IO[bytes]:
    """Standard input as bytes. Raises InputError if the process was started without one."""
    if sys.stdin is None:
        raise InputError("standard input is closed", path=STDIN)
    return cast(IO[bytes], sys.stdin.buffer)


def unpacked(file: Any) -> IO[bytes]:
    """A buffered stream as it is, or unpacked if it is gzipped."""
    if file.peek(2)[:2] == b"\x1f\x8b":
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    return cast(IO[bytes], file)


def read_text(path: str | Path) -> str:
    """The whole of a UTF-8 file, without its byte order mark.

    Args:
        path: plain or gzipped, "-" for standard input.

    Raises:
        InputError: no such file, a folder, broken gzip, binary or otherwise not UTF-8, empty.
    """
    with opened(path) as stream:
        return decoded(stream.read(), path)


def decoded(data: bytes, path: str | Path) -> str:
    """The text that is the content of ``path``; see `read_text`."""
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise InputError("binary data, not text", path=path, line=line)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError("not UTF-8 text", path=path, line=line) from error
    if not text.strip():
        raise InputError("the file is empty", path=path)
    return text


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    r"""The lines that are not blank, with their numbers from 1.

    >>> list(numbered_lines("a\r\n\nb"))
    [(1, 'a'), (3, 'b')]
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.removesuffix("\r")


class JsonObject(list[tuple[str, Any]]):
    """A JSON object as its (key, value) pairs, so that repeated keys are not lost."""


def is_json(text: str) -> bool:
    """Whether this is meant as JSON: it starts with a bracket or a brace."""
    return text.lstrip()[:1] in ("{", "[")


def parse_json(text: str, path: str | Path) -> Any:
    """Parse JSON; objects become `JsonObject`.

    Raises:
        InputError: not JSON, with line and column; cut off; nested absurdly deep.
    """
    try:
        return json.loads(text, object_pairs_hook=JsonObject)
    except json.JSONDecodeError as error:
        cut_off = not text[error.pos :].strip() or error.msg.startswith("Unterminated string")
        reason = "broken JSON, cut off here" if cut_off else f"broken JSON: {error.msg.lower()}"
        raise InputError(reason, path=path, line=error.lineno, column=error.colno) from error
    except RecursionError as error:
        raise InputError("JSON is nested too deeply", path=path) from error
    except ValueError as error:  # Python's own limit on the digits of one integer
        raise InputError("JSON holds a number of thousands of digits", path=path) from error
