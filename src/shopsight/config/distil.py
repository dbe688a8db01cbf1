"""Settings of the student, and of the candidates that models learn from together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from shopsight.config.checks import POSITIVE, PROBABILITY, check_ranges
from shopsight.config.model import ModelConfig
from shopsight.config.train import TrainConfig
from shopsight.errors import UsageError


@dataclass(frozen=True)
class CandidatesConfig:
    """Candidates of training queries, which an ensemble of trained models scores once.

    Args:
        teachers: the models of the ensemble, weighted by their scores on the validation split.
        clicked: clicked products of a query, at most.
        nearest: its nearest products by the dual encoder.
        near: products drawn from the next nearest ones.
        near_depth: how many these are.
        random: products drawn from all that were clicked.
        made: made queries for each training query: its last word with other words of the training
            queries that end in it. They have no clicked products.
    """

    teachers: tuple[str, ...] = ("label-match", "word-match", "sentence-match", "dual")
    clicked: int = 4
    nearest: int = 24
    near: int = 12
    near_depth: int = 176
    random: int = 12
    made: float = 0.0

    def __post_init__(self) -> None:
        """Check all ranges."""
        check_ranges(self, clicked=0, nearest=1, near=0, near_depth=0, random=0, made=0)
        if self.near > self.near_depth:
            raise UsageError(f"near = {self.near} exceeds near_depth = {self.near_depth}")
        if not self.teachers or len(set(self.teachers)) < len(self.teachers):
            raise UsageError("teachers must name at least one model, each once")

    @property
    def count(self) -> int:
        """C, the most candidates of a query."""
        return self.clicked + self.nearest + self.near + self.random


# An instance: a default factory could not replace the property of the base class.
DEFAULT_CANDIDATES = CandidatesConfig()


def imitation_training(epochs: int, lr: float, warmup_steps: int) -> TrainConfig:
    """Training on scored candidates; a batch counts queries."""
    return TrainConfig(
        epochs=epochs,
        batch=64,
        lr=lr,
        weight_decay=1e-2,
        optimizer="adamw",
        schedule="cosine",
        warmup_steps=warmup_steps,
        clip=5.0,
    )


class TaughtConfig(ModelConfig):
    """Base of the settings of models that learn from scored candidates."""

    from_scratch: ClassVar[str] = ""

    @property
    def starts_from(self) -> tuple[str, ...]:
        """The teachers, and the dual encoder, which finds the candidates."""
        assert self.candidates is not None
        return tuple(dict.fromkeys(("dual", *self.candidates.teachers)))

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Recipe keys, beside its own and those of its teachers, that decide the weights."""
        return ("seed", "words", "negatives", "fusion")


@dataclass(frozen=True)
class StudentConfig(TaughtConfig):
    """The student: a small dual encoder that imitates the ensemble (docs/method.md, section 10).

    Its towers are built like those of the dual encoder.

    Args:
        train: training of the stage; a batch counts queries.
        start: from the first towers of the trained dual encoder, or from random weights.
        towers: number of towers; cost is proportional.
        temperature: divides the teacher's z-scores before the softmax.
        dropout: dropout in all layers of the towers, in place of the dual encoder's.
        candidates: what it learns from.
    """

    train: TrainConfig = field(default_factory=lambda: imitation_training(5, 3e-4, 50))
    start: Literal["dual", "random"] = "dual"
    towers: int = 1
    temperature: float = 0.4
    dropout: float = 0.1
    candidates: CandidatesConfig = DEFAULT_CANDIDATES

    def __post_init__(self) -> None:
        """Check all ranges."""
        check_ranges(self, towers=1, temperature=POSITIVE, dropout=PROBABILITY)
