"""Progress callbacks, and a live progress line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn


@dataclass(frozen=True)
class Status:
    """Progress of a stage after a step, times without validation.

    ``epoch`` counts from 0; ``parts`` are mean loss parts since the last line of metrics.
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


class Callback:
    """Receiver of the progress of a training; ignores it unless overridden."""

    def step(self, status: Status) -> None:
        """Receive the status after a step."""

    def note(self, text: str) -> None:
        """Receive a message that is worth keeping, such as a validation score."""


class ProgressLine(Callback):
    """A progress line on stderr, redrawn in place on a terminal; elsewhere only notes are written.

    Nothing at all is written if it is `quiet`.
    """

    def __init__(self, quiet: bool = False, console: Console | None = None) -> None:
        self._quiet = quiet
        self._console = console or Console(stderr=True)
        columns = TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[text]}")
        shown = self._console.is_terminal and not quiet
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not shown)
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressLine:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def step(self, status: Status) -> None:
        """Redraw the line."""
        if self._task is None:
            self._task = self._bar.add_task(status.stage, text="")
        self._bar.update(
            self._task,
            description=f"{status.stage} {status.epoch + 1}/{status.epochs}",
            completed=status.epoch * status.steps + status.step,
            total=status.epochs * status.steps,
            text=describe(status),
        )

    def note(self, text: str) -> None:
        """Write a line that stays."""
        # Names may hold brackets, which rich would read as markup.
        if not self._quiet:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def describe(status: Status) -> str:
    """The text of the progress line.

    >>> describe(Status("dual", 0, 2, 5, 10, {"softmax": 0.51234}, 812.4, 75.2, 0.02, 0.7012))
    'softmax 0.5123  812 pairs/s  2% waiting  best 0.7012  1:15 left'
    """
    parts = [f"{name} {value:.4g}" for name, value in status.parts.items()]
    speed = f"{status.pairs_per_second:,.{0 if status.pairs_per_second >= 10 else 1}f} pairs/s"
    best = [] if status.best is None else [f"best {status.best:.4f}"]
    waiting = f"{status.wait_fraction:.0%} waiting"
    return "  ".join([*parts, speed, waiting, *best, f"{clock(status.seconds_left)} left"])


def clock(seconds: float) -> str:
    """A duration as minutes and seconds, with hours if there are any.

    >>> clock(75.2), clock(3725)
    ('1:15', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
