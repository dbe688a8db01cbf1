"""Time and memory of the steps of a training, over all the calls that it needed."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shopsight.formats.atomic import write_json


class Timings:
    """Seconds and MiB by step, in order of their first start, kept in ``times.json`` of a folder.

    The memory of a step is the highest of this process during it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "times.json"
        self.seconds: dict[str, float] = {}
        self.memory: dict[str, float] = {}
        if self._path.exists():
            # Times only inform: a damaged file must not stop a training.
            with suppress(ValueError, AttributeError, TypeError, KeyError):
                steps = json.loads(self._path.read_bytes())
                self.seconds = {name: float(step["seconds"]) for name, step in steps.items()}
                self.memory = {name: float(step["mib"]) for name, step in steps.items()}

    @contextmanager
    def measure(self, step: str, resumed: bool = False) -> Iterator[None]:
        """Measure a step, and add the time of earlier calls if this one resumes their work.

        Else the longest call counts, since later ones only read its result.
        """
        before, started = self.seconds.get(step, 0.0), time.perf_counter()
        with suppress(OSError):  # where it is possible, the peak starts anew
            Path("/proc/self/clear_refs").write_text("5")
        try:
            yield
        finally:
            elapsed = time.perf_counter() - started
            self.seconds[step] = before + elapsed if resumed else max(before, elapsed)
            self.memory[step] = max(self.memory.get(step, 0.0), peak_mib())
            self._write()

    def take_over(self, other: Timings, steps: Iterable[str]) -> None:
        """Copy the figures of steps from another folder."""
        known = [step for step in steps if step in other.seconds]
        self.seconds |= {step: other.seconds[step] for step in known}
        self.memory |= {step: other.memory[step] for step in known}
        self._write()

    def _write(self) -> None:
        steps = {
            name: {"seconds": round(seconds, 3), "mib": round(self.memory.get(name, 0.0))}
            for name, seconds in self.seconds.items()
        }
        write_json(self._path, steps)


def peak_mib() -> float:
    """Highest resident memory of this process in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024  # macOS reports bytes, other systems KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
