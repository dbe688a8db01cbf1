"""Settings of one stage's training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shopsight.config.checks import POSITIVE, check_ranges

Precision = Literal["float32", "bf16"]
"""Number format of matrix products; sums, losses and scores are always float32."""

FalseNegatives = Literal["duplicates", "subset"]
"""Which pairs of a batch are no negatives: those of the same query or product, or also those of
a product whose clicked queries together hold all words of the query."""

NegativesFrom = Literal["cluster", "mixed", "overlap", "random"]
"""Where hard negatives are drawn; see `shopsight.negatives.sampler.NegativeSampler`."""


@dataclass(frozen=True)
class TrainConfig:
    """How one stage is trained.

    Args:
        epochs: passes over the clicked pairs.
        batch: clicked pairs in a batch, over all processes together.
        lr: learning rate of what the stage adds; what it fine-tunes has its own.
        weight_decay: weight decay of what the stage adds.
        optimizer: adam adds the decay to the gradient, adamw takes it off the weights.
        schedule: exponential multiplies the rate after each epoch, cosine lowers it to
            ``final_lr_fraction`` over all epochs, constant leaves it.
        decay_per_epoch: factor of the exponential schedule.
        final_lr_fraction: where the cosine schedule ends, as a share of the rate.
        warmup_steps: steps over which the rate rises from 0 at first.
        clip: most length of the gradient; 0 does not limit it.
        precision: number format of matrix products; sums, losses and scores are float32.
        eval_every_epochs: epochs between two rankings of the validation split.
        patience: rankings without a better one before training stops; 0 never stops early.
        keep: last checkpoints kept beside the best.
        checkpoint_steps: steps between two checkpoints; 0 writes one an epoch only.
        workers: threads that read batches ahead; 0 reads them in between.
    """

    epochs: int = 20
    batch: int = 200
    lr: float = 1e-4
    weight_decay: float = 0.0
    optimizer: Literal["adam", "adamw"] = "adam"
    schedule: Literal["exponential", "cosine", "constant"] = "exponential"
    decay_per_epoch: float = 0.96
    final_lr_fraction: float = 0.02
    warmup_steps: int = 0
    clip: float = 0.0
    precision: Precision = "float32"
    eval_every_epochs: int = 1
    patience: int = 0
    keep: int = 2
    checkpoint_steps: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        check_ranges(
            self,
            epochs=0,
            batch=2,
            weight_decay=0,
            decay_per_epoch=0,
            final_lr_fraction=0,
            warmup_steps=0,
            clip=0,
            eval_every_epochs=1,
            patience=0,
            keep=1,
            checkpoint_steps=0,
            workers=0,
            lr=POSITIVE,
        )
