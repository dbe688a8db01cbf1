"""Time and memory of this machine's work."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """Call a function and return its result with the seconds it took."""
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


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
