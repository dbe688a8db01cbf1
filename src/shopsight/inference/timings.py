"""How long each step of a training took, over all the calls that it needed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shopsight.formats.atomic import write_json

FILE = "times.json"


class Times:
    """Seconds by step, kept in ``times.json``.

    Args:
        folder: where the file is or will be.

    Attributes:
        seconds: by step, in the order of their first beginning.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self.seconds: dict[str, float] = {}
        if self._path.exists():
            with suppress(ValueError, AttributeError, TypeError):  # no reason to refuse anything
                self.seconds = {k: float(v) for k, v in json.loads(self._path.read_bytes()).items()}

    @contextmanager
    def of(self, step: str, again: bool = False) -> Iterator[None]:
        """Time a step.

        Args:
            step: its name.
            again: what earlier calls took counts too, since this one goes on with their work;
                else the longest call counts, since the others only read what it left.
        """
        before, started = self.seconds.get(step, 0.0), time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - started
            self.seconds[step] = before + took if again else max(before, took)
            self._write()

    def take_over(self, other: Times, steps: Iterable[str]) -> None:
        """Copy what steps took in another folder."""
        self.seconds |= {step: other.seconds[step] for step in steps if step in other.seconds}
        self._write()

    def _write(self) -> None:
        write_json(self._path, {k: round(v, 3) for k, v in self.seconds.items()})
