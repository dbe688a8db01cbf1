"""Time and memory of this machine's work, and the printing of figures."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from shopsight.cli.output import print_grid, print_json
from shopsight.tables import Grid

Result = TypeVar("Result")


def timed(work: Callable[[], Result], device: str = "cpu") -> tuple[Result, float]:
    """Call a function and return its result with the seconds until the device has finished."""
    started = time.perf_counter()
    result = work()
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize(device)
    return result, time.perf_counter() - started


def show(figures: Any, grids: Sequence[Grid], *, as_json: bool) -> None:
    """Print figures as JSON or as tables."""
    if as_json:
        print_json(figures)
        return
    for grid in grids:
        print_grid(grid)


def peak_mib(*, children: bool = False) -> float:
    """Peak resident memory of this process in MiB, or of the largest process it waited for."""
    processes = [resource.RUSAGE_SELF, *([resource.RUSAGE_CHILDREN] if children else [])]
    unit = 1 if sys.platform == "darwin" else 1024  # macOS reports bytes, Linux KiB
    return max(resource.getrusage(who).ru_maxrss for who in processes) * unit / 2**20


def resident_bytes(pid: int | str = "self") -> int | None:
    """Resident memory of a process; None where the system does not report it."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * resource.getpagesize()
