"""Settings of the cross-encoder."""

from __future__ import annotations

from dataclasses import dataclass, field

from shopsight.config.checks import POSITIVE, PROBABILITY, check_ranges
from shopsight.config.distil import (
    DEFAULT_CANDIDATES,
    CandidatesConfig,
    TaughtConfig,
    imitation_training,
)
from shopsight.config.train import TrainConfig
from shopsight.errors import UsageError


@dataclass(frozen=True)
class CrossConfig(TaughtConfig):
    """The cross-encoder: words and regions attend to each other (docs/method.md, section 12).

    It starts from the towers of the dual encoder, whose settings it shares.

    Args:
        train: training of the stage; a batch counts queries, `lr` is that of the joint layers.
        tower_lr: learning rate of the towers; 0 leaves them as they are.
        layers: joint layers of words and regions.
        heads: attention heads.
        feedforward: hidden width of the feed-forward layers, as a multiple of the width.
        dropout: dropout in all layers.
        regions: regions of a photo that are kept, the mean region included.
        temperature: divides the teacher's z-scores before the softmax.
        imitation: weight of the loss that imitates the teacher.
        clicks: weight of the loss that ranks clicked candidates above the others.
        sample: candidates of a query in a step, clicked ones first; 0 takes all.
        depth: candidates of a query that are scored, the best of the dual encoder; 0 takes all.
        candidates: what it learns from.
    """

    train: TrainConfig = field(default_factory=lambda: imitation_training(2, 1e-3, 40))
    tower_lr: float = 0.0
    layers: int = 2
    heads: int = 8
    feedforward: int = 2
    dropout: float = 0.1
    regions: int = 12
    temperature: float = 0.4
    imitation: float = 1.0
    clicks: float = 0.0
    sample: int = 16
    depth: int = 0
    candidates: CandidatesConfig = DEFAULT_CANDIDATES

    def __post_init__(self) -> None:
        """Check all ranges."""
        check_ranges(self, layers=0, heads=1, feedforward=1, regions=1, tower_lr=0)
        check_ranges(
            self,
            temperature=POSITIVE,
            imitation=0,
            clicks=0,
            sample=0,
            depth=0,
            dropout=PROBABILITY,
        )
        if not self.imitation and not self.clicks:
            raise UsageError("imitation and clicks must not both be 0")
