"""Ctrl-C that waits for the end of a step, so that what is saved is whole."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

_AGAIN = 2.0  # seconds after which a second Ctrl-C is meant (torchrun passes the first on twice)


class Interrupts:
    """While entered, SIGINT and SIGTERM raise KeyboardInterrupt, but never inside `held`.

    There they set ``asked``, and only a second one, some seconds later, raises.

    Attributes:
        asked: a signal came inside `held`.
        torn: a second one raised there, so that the state is not whole.
    """

    def __init__(self) -> None:
        self.asked = self.torn = self._inside = False
        self._first = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold interrupts back while the state is not whole."""
        self._inside = True
        try:
            yield
        finally:
            self._inside = False

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if not self._inside:
            raise KeyboardInterrupt
        if not self.asked:
            self.asked, self._first = True, time.monotonic()
        elif time.monotonic() - self._first > _AGAIN:
            self.torn = True
            raise KeyboardInterrupt
