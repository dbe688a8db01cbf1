"""Progress bars on stderr with speed and remaining time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[Progress]:
    """A rich progress display, hidden with ``quiet`` or if stderr is not a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    hidden = quiet or not console.is_terminal
    with Progress(*columns, console=console, disable=hidden, transient=True) as progress:
        yield progress


def progress_callback(bar: Progress) -> Callable[[str, int, int], None]:
    """A ``callback(stage, done, total)`` that shows each stage as a bar."""
    tasks: dict[str, TaskID] = {}

    def update(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=total, rate="")
        bar.update(tasks[stage], completed=done, total=total)

    return update


@contextmanager
def stage_progress(args: Any) -> Iterator[Callable[[str, int, int], None]]:
    """A progress callback of a command; hidden with ``--quiet`` or ``--json``."""
    with progress_bar(quiet=args.quiet or args.json) as bar:
        yield progress_callback(bar)


@dataclass
class _StageTimes:
    started: float
    first: int
    last: float
    done: int


class ThroughputReporter:
    """A ``callback(stage, done, total)`` that shows throughput and time left of each stage.

    What an earlier, interrupted run did does not count. Away from a terminal, a line is printed
    every half minute, and for every message that follows a stage's name (``learning: MESSAGE``).

    Args:
        bar: see `progress_bar`.
        unit: of ``done``, such as "photos".
        scale: of the numbers: 1e6 shows bytes as MB.
        quiet: print nothing.
    """

    def __init__(self, bar: Progress, unit: str, scale: float = 1, *, quiet: bool) -> None:
        self._bar, self._task = bar, bar.add_task("reading", rate="", total=None)
        self._unit, self._scale = unit, scale
        self._is_plain = bar.disable and not quiet
        self._printed = time.monotonic()
        self._stages: dict[str, _StageTimes] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show the progress of a stage."""
        stage, _, message = stage.partition(": ")
        now = time.monotonic()
        if stage not in self._stages:
            self._stages[stage] = _StageTimes(now, done, now, done)
            self._bar.reset(self._task, description=stage, completed=done)
        times = self._stages[stage]
        times.last, times.done = now, done
        rate = message or self._rate(stage)
        self._bar.update(
            self._task, description=stage, completed=done, total=total or None, rate=rate
        )
        if self._is_plain and (message or now - self._printed > _SECONDS_BETWEEN_LINES):
            self._printed = now
            scaled = f" {done / self._scale:,.0f} of {total / self._scale:,.0f} {self._unit},"
            print(f"{stage}:{scaled if total else ''} {rate}", file=sys.stderr, flush=True)

    def print_rates(self, args: Any) -> None:
        """Print the throughput of each stage, unless ``--quiet`` or ``--json`` is given."""
        for stage in () if args.quiet or args.json else self._stages:
            if rate := self._rate(stage):
                print(f"  {stage} at {rate}")

    def _rate(self, stage: str) -> str:
        times = self._stages[stage]
        if times.done <= times.first:
            return ""
        seconds = max(times.last - times.started, 1e-6)
        return f"{(times.done - times.first) / self._scale / seconds:,.0f} {self._unit}/s"
