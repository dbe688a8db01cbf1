"""Standard output that says what is wrong with it: closed, full, or without a reader."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, cast

from shopsight.errors import OutputError


class ReaderGoneError(Exception):
    """What reads standard output has ended (`| head`): no error, but nothing to print to."""


@contextmanager
def checked_output() -> Iterator[None]:
    """Write out at the end what was printed, so that a failure is known before the exit code.

    Raises:
        OutputError: standard output is closed, or cannot be written to.
        ReaderGoneError: the other end of the pipe was closed.
    """
    if sys.stdout is None:  # file descriptor 1 is free, the next file would get the prints
        raise OutputError("standard output is closed; use >/dev/null if it is not wanted")
    output = _Output(sys.stdout)
    with redirect_stdout(cast(Any, output)):
        try:
            yield
        except SystemExit:  # after the text of --help
            output.flush()
            raise
        except BaseException:  # which matters more than what was printed before
            with suppress(OutputError, ReaderGoneError):
                output.flush()
            raise
        output.flush()


class _Output:
    """The stream ``file``, whose failures name it and happen once."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, text: str) -> int:
        with self._named():
            return int(self._file.write(text))

    def flush(self) -> None:
        with self._named():
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError as error:
            self._give_up()
            raise ReaderGoneError from error
        except OSError as error:
            self._give_up()
            reason = (error.strerror or str(error)).lower()
            raise OutputError(f"standard output: cannot write, {reason}") from error

    def _give_up(self) -> None:
        """Send what is still buffered nowhere: Python would fail on it again when it ends."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._file.fileno())
            os.close(nowhere)
