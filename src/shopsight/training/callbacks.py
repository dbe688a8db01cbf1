"""What training tells about itself: where it stands, and one live line that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn


@dataclass(frozen=True)
class Status:
    """Where a stage stands after a step.

    Attributes:
        stage: its name.
        epoch: the current epoch, from 0.
        epochs: of so many.
        step: steps of the epoch that are over.
        steps: of so many.
        parts: mean loss parts since the last line of metrics.
        pairs_per_second: over this session, without validation.
        seconds_left: until the last epoch is over, without validation.
        wait_fraction: share of the time that training waited for data.
        best: best validation score so far.
    """

    stage: str
    epoch: int
    epochs: int
    step: int
    steps: int
    parts: Mapping[str, float] = field(default_factory=dict)
    pairs_per_second: float = 0.0
    seconds_left: float = 0.0
    wait_fraction: float = 0.0
    best: float | None = None


class Callback(Protocol):
    """What is told how training goes."""

    def step(self, status: Status) -> None:
        """A step is over."""

    def note(self, text: str) -> None:
        """Something that a person wants to read later, such as a validation score."""


class NullCallback:
    """No-op callback."""

    def step(self, status: Status) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


class ProgressLine:
    """One line on stderr that moves: stage, epoch, loss parts, pairs a second, time left.

    On a terminal it is redrawn in place; elsewhere only notes are written, one a line.

    Args:
        quiet: write nothing at all.
        console: where to; stderr by default.
    """

    def __init__(self, quiet: bool = False, console: Console | None = None) -> None:
        self._quiet = quiet
        self._console = console or Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(20),
            TextColumn("{task.fields[text]}"),
        )
        shown = self._console.is_terminal and not quiet
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not shown)
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressLine:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def step(self, status: Status) -> None:
        """Redraw the line."""
        if self._task is None:
            self._task = self._bar.add_task(status.stage, text="")
        done = status.epoch * status.steps + status.step
        self._bar.update(
            self._task,
            description=f"{status.stage} {status.epoch + 1}/{status.epochs}",
            completed=done,
            total=status.epochs * status.steps,
            text=describe(status),
        )

    def note(self, text: str) -> None:
        """Write a line that stays."""
        if not self._quiet:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def describe(status: Status) -> str:
    """The words of the live line.

    >>> describe(Status("dual", 0, 2, 5, 10, {"softmax": 0.51234}, 812.4, 75.2, 0.02, 0.7012))
    'softmax 0.5123  812 pairs/s  2% waiting  best 0.7012  1:15 left'
    """
    parts = [f"{name} {value:.4g}" for name, value in status.parts.items()]
    rate = f"{status.pairs_per_second:,.{0 if status.pairs_per_second >= 10 else 1}f} pairs/s"
    best = [] if status.best is None else [f"best {status.best:.4f}"]
    waiting = f"{status.wait_fraction:.0%} waiting"
    return "  ".join([*parts, rate, waiting, *best, f"{clock(status.seconds_left)} left"])


def clock(seconds: float) -> str:
    """A time span as people write it.

    >>> clock(75.2), clock(3725)
    ('1:15', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
