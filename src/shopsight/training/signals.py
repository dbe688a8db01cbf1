"""Defer SIGINT and SIGTERM to step boundaries, so that the saved state is always consistent."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# Seconds after which another signal means "now": torchrun forwards the first Ctrl-C, so that every
# process receives it twice at once.
_REPEAT_AFTER = 2.0


class Interrupts:
    """While entered, SIGINT and SIGTERM raise KeyboardInterrupt, except inside `deferred`.

    There the first signal sets `requested`, and only another one, some seconds later, raises.

    Attributes:
        requested: a signal arrived inside `deferred`.
        interrupted_mid_step: another one raised there, so that the state is not consistent.
    """

    def __init__(self) -> None:
        self.requested = self.interrupted_mid_step = self._deferring = False
        self._first = 0.0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        # Python allows only the main thread to set handlers; others are left uninterrupted.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Hold signals back while the state is not consistent."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if not self._deferring:
            raise KeyboardInterrupt
        if not self.requested:
            self.requested, self._first = True, time.monotonic()
        elif time.monotonic() - self._first > _REPEAT_AFTER:
            self.interrupted_mid_step = True
            raise KeyboardInterrupt
