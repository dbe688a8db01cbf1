"""Base class of the settings of every model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from shopsight.config.train import TrainConfig

if TYPE_CHECKING:
    from shopsight.config.distil import CandidatesConfig


@dataclass(frozen=True)
class ModelConfig:
    """Settings of one model and of the stage that trains it.

    A subclass adds its own fields and may replace a property below by a field or by another
    property.

    Args:
        train: optimizer, schedule and batches of the first phase.

    Attributes:
        from_scratch: the ``--set`` value with which the stage needs no other; empty if none does.
    """

    from_scratch: ClassVar[str] = "pretrained=false"

    train: TrainConfig = field(default_factory=TrainConfig)

    @property
    def phases(self) -> tuple[TrainConfig, ...]:
        """The training of each phase, in order; the last phase leaves the stage's weights."""
        return (self.train,)

    @property
    def pretrained(self) -> bool:
        """True if the stage starts from the encoder and the word vectors of label match."""
        return False

    @property
    def starts_from(self) -> tuple[str, ...]:
        """The stages whose weights or scores it starts from."""
        return ("label-match",) if self.pretrained else ()

    @property
    def candidates(self) -> CandidatesConfig | None:
        """The scored candidates that it learns from; None where it learns from clicked pairs."""
        return None

    @property
    def cache_trunk(self) -> bool:
        """True if regions are read as the outputs of the frozen trunk, computed once."""
        return False

    @property
    def depth(self) -> int:
        """Candidates of a query that are scored, the best of another model first; 0 takes all."""
        return 0

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Recipe keys, beside those of itself and of `starts_from`, that decide the weights."""
        return ("seed", "words", "encoder", "negatives")

    def check_width(self, width: int) -> None:
        """Raise UsageError if the model cannot read region features of this width."""
