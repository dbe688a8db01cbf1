"""Standard output of any encoding, whose failures are errors: closed, full, without a reader."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, TextIO, cast

from shopsight.errors import OutputError


class ReaderGoneError(Exception):
    """The reader of standard output has closed the pipe (`| head`); this is not a user error."""


@contextmanager
def checked_output() -> Iterator[None]:
    """Flush standard output at the end, so that a failure is known before the exit code.

    Raises:
        OutputError: standard output is closed or cannot be written to.
        ReaderGoneError: the other end of the pipe was closed.
    """
    # With file descriptor 1 free, the next opened file would receive all prints.
    if sys.stdout is None:
        raise OutputError("standard output is closed; use >/dev/null if it is not wanted")
    output = _Output(sys.stdout)
    with redirect_stdout(cast(Any, output)):
        try:
            yield
        except SystemExit:  # after the text of --help
            output.flush()
            raise
        except BaseException:
            # The error of the command matters more than a failure to print what came before.
            with suppress(OutputError, ReaderGoneError):
                output.flush()
            raise
        output.flush()


def json_text(value: Any, **options: Any) -> str:
    r"""A JSON value for standard output; characters that its encoding lacks become ``\uXXXX``."""
    text = json.dumps(value, ensure_ascii=False, **options)
    return text if _fits(sys.stdout, text) else json.dumps(value, **options)


def _fits(file: TextIO, text: str) -> bool:
    try:
        text.encode(file.encoding or "utf-8")
    except UnicodeEncodeError:  # of lone surrogates also in UTF-8
        return False
    return True


# What the rest of the program draws and writes, for encodings without it.
_PLAIN = str.maketrans({"─": "-", "–": "-", "…": "...", "’": "'"})


class _Output:
    """A stream whose failures raise an error that names it, once.

    Characters that its encoding lacks are replaced, like those of tables, or else become "?".
    """

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, text: str) -> int:
        if not _fits(self._file, text):
            encoding = self._file.encoding or "utf-8"
            text = text.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
        with self._checked():
            return int(self._file.write(text))

    def flush(self) -> None:
        with self._checked():
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    @contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError as error:
            self._discard()
            raise ReaderGoneError from error
        except OSError as error:
            self._discard()
            reason = (error.strerror or str(error)).lower()
            raise OutputError(f"standard output: cannot write, {reason}") from error

    def _discard(self) -> None:
        """Send buffered text to /dev/null: Python would fail on it again at exit."""
        with suppress(OSError, ValueError):
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, self._file.fileno())
            os.close(devnull)
