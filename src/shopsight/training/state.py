"""Training state and stage results, JSON-serialisable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class TrainState:
    """Training progress, stored in each checkpoint.

    Attributes:
        epoch: finished epochs, validation included.
        step: finished steps of the current epoch; ``steps`` counts those of all epochs.
        best_epoch: epoch of the best validation score, from 1; 0 is before the first.
        worse: validations since then.
        seconds: time spent in steps, ``waited`` for data included.
        sums: sums of the loss parts of ``summed`` steps, those since the last line of metrics.
        logged: size of ``metrics.jsonl`` in bytes.
        stopped: the reason to stop; empty while training.
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
        """Count a finished step.

        >>> state = TrainState()
        >>> state.add({"hinge": 2.0}, seconds=0.5, waited=0.1)
        >>> state.add({"hinge": 4.0}, seconds=0.5, waited=0.1)
        >>> state.steps, state.means, state.wait_fraction
        (2, {'hinge': 3.0}, 0.2)
        """
        self.step += 1
        self.steps += 1
        self.summed += 1
        self.seconds += seconds
        self.waited += waited
        for name, value in parts.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def record_score(self, score: float, epoch: int) -> bool:
        """Record a validation score; True if it is the best so far."""
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
        """Fraction of the time that training waited for data."""
        return self.waited / self.seconds if self.seconds else 0.0

    def speed(self, batch: int) -> float:
        """Clicked pairs per second, in steps of `batch`."""
        return self.steps * batch / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class StageResult:
    """Result of a finished stage, the content of its ``done.json``; see `TrainState`."""

    stage: str
    epochs: int
    steps: int
    best: float | None
    best_epoch: int
    seconds: float
    wait_fraction: float
    pairs_per_second: float
    stopped: str
