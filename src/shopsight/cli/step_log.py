"""Log of the steps of a long command: duration and result of each."""

from __future__ import annotations

import time


class StepLog:
    """Prints each finished step with its duration.

    Args:
        silent: record the steps without printing.

    Attributes:
        taken: name and seconds of each step so far.
    """

    def __init__(self, silent: bool) -> None:
        self.taken: list[tuple[str, float]] = []
        self.silent, self._since = silent, time.perf_counter()

    def done(self, name: str, result: str) -> None:
        """Record a finished step and its one-line result."""
        now = time.perf_counter()
        self.taken.append((name, now - self._since))
        self._since = now
        if not self.silent:
            print(f"{self.taken[-1][1]:6.1f} s  {name:<15} {result}", flush=True)
