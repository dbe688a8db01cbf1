"""Per-step timings of a training, over all the calls that it needed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shopsight.formats.atomic import write_json


class Timings:
    """Seconds by step, in order of their first start, kept in ``times.json`` of a folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "times.json"
        self.seconds: dict[str, float] = {}
        if self._path.exists():
            # Times only inform: a damaged file must not stop a training.
            with suppress(ValueError, AttributeError, TypeError):
                self.seconds = {k: float(v) for k, v in json.loads(self._path.read_bytes()).items()}

    @contextmanager
    def measure(self, step: str, resumed: bool = False) -> Iterator[None]:
        """Time a step, and add the time of earlier calls if this one resumes their work.

        Else the longest call counts, since later ones only read its result.
        """
        before, started = self.seconds.get(step, 0.0), time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - started
            self.seconds[step] = before + elapsed if resumed else max(before, elapsed)
            self._write()

    def take_over(self, other: Timings, steps: Iterable[str]) -> None:
        """Copy the times of steps from another folder."""
        self.seconds |= {step: other.seconds[step] for step in steps if step in other.seconds}
        self._write()

    def _write(self) -> None:
        write_json(self._path, {k: round(v, 3) for k, v in self.seconds.items()})
