"""Where training stands, and what it came to: plain values that JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class TrainState:
    """Where training stands; all of it is in every checkpoint.

    Attributes:
        epoch: epochs that are over, validation included.
        step: steps of the current epoch that are over.
        steps: steps that are over, of all epochs.
        best: best validation score.
        best_epoch: the epoch, from 1, that it was reached in; 0 is before the first.
        worse: validations since then.
        seconds: time spent in steps, waiting included.
        waited: of it, time spent waiting for data.
        sums: sums of the loss parts since the last line of metrics.
        summed: steps in them.
        logged: bytes of ``metrics.jsonl``.
        stopped: why training is over; empty while it is not.
    """

    epoch: int = 0
    step: int = 0
    steps: int = 0
    best: float | None = None
    best_epoch: int = 0
    worse: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    summed: int = 0
    logged: int = 0
    stopped: str = ""

    def add(self, parts: Mapping[str, float], seconds: float, waited: float) -> None:
        """One more step is over.

        >>> at = TrainState()
        >>> at.add({"hinge": 2.0}, seconds=0.5, waited=0.1)
        >>> at.add({"hinge": 4.0}, seconds=0.5, waited=0.1)
        >>> at.steps, at.means, at.wait_fraction
        (2, {'hinge': 3.0}, 0.2)
        """
        self.step += 1
        self.steps += 1
        self.summed += 1
        self.seconds += seconds
        self.waited += waited
        for name, value in parts.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def forget_sums(self) -> None:
        """Begin the next line of metrics."""
        self.sums, self.summed = {}, 0

    def judge(self, score: float, epoch: int) -> bool:
        """Count a validation score; whether it is the best so far."""
        if self.best is None or score > self.best:
            self.best, self.best_epoch, self.worse = score, epoch, 0
            return True
        self.worse += 1
        return False

    @property
    def means(self) -> dict[str, float]:
        """Mean loss parts since the last line of metrics."""
        return {name: value / self.summed for name, value in self.sums.items()}

    @property
    def wait_fraction(self) -> float:
        """Share of the time that training waited for data."""
        return self.waited / self.seconds if self.seconds else 0.0

    def speed(self, batch: int) -> float:
        """Clicked pairs a second, in steps of ``batch``."""
        return self.steps * batch / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """For a checkpoint; ``TrainState(**as_json)`` is the same again."""
        return asdict(self)


@dataclass(frozen=True)
class StageResult:
    """What a finished stage came to, as ``done.json`` says it.

    Attributes:
        stage: its name.
        epochs: epochs that were run.
        steps: steps that were run.
        best: best validation score; None without validation.
        best_epoch: the epoch, from 1, that it was reached in.
        seconds: time spent in steps.
        wait_fraction: share of it spent waiting for data.
        pairs_per_second: clicked pairs trained on, a second.
        stopped: why it ended.
    """

    stage: str
    epochs: int
    steps: int
    best: float | None
    best_epoch: int
    seconds: float
    wait_fraction: float
    pairs_per_second: float
    stopped: str

    def as_json(self) -> dict[str, Any]:
        """For ``done.json``; ``StageResult(**as_json)`` is the same again."""
        return asdict(self)
