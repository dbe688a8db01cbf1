"""What a long command says about itself: each step, how long it took, what it came to."""

from __future__ import annotations

import time


class StepLog:
    """Says what was done, and how long it took.

    Args:
        silent: keep the times and say nothing.

    Attributes:
        taken: name and seconds of each step so far.
    """

    def __init__(self, silent: bool) -> None:
        self.taken: list[tuple[str, float]] = []
        self._silent, self._since = silent, time.perf_counter()

    def done(self, name: str, sentence: str) -> None:
        """A step is over."""
        now = time.perf_counter()
        self.taken.append((name, now - self._since))
        self._since = now
        if not self._silent:
            print(f"{self.taken[-1][1]:6.1f} s  {name:<15} {sentence}", flush=True)
