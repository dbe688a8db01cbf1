"""Settings of the training of a stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shopsight.config.checks import POSITIVE, check_ranges

Precision = Literal["float32", "bf16"]
"""Number format of matrix products; sums, losses and scores are always float32."""

FalseNegatives = Literal["duplicates", "subset"]
"""Pairs that are not negatives, neither within a batch nor drawn: those of the same query or
product, or also those of a product whose clicked queries together contain all words of the query.
"""

NegativesFrom = Literal["cluster", "mixed", "overlap", "random"]
"""Sources of hard negatives; see `shopsight.negatives.sampler.NegativeSampler`."""


@dataclass(frozen=True)
class TrainConfig:
    """Optimizer, schedule and batches of a stage.

    Args:
        epochs: passes over the clicked pairs.
        batch: clicked pairs in a batch, over all processes together.
        batch_per_process: of each process instead, whose pairs compete with each other only.
        lr: learning rate of the layers that the stage adds; fine-tuned layers have their own.
        weight_decay: their weight decay.
        optimizer: adam adds the decay to the gradient, adamw subtracts it from the weights.
        schedule: exponential multiplies the learning rate after each epoch, cosine lowers it to
            `final_lr_fraction` over all epochs, constant keeps it.
        decay_per_epoch: factor of the exponential schedule.
        lag_epochs: epochs that its first epoch is repeated before the factor applies.
        final_lr_fraction: final learning rate of the cosine schedule, as a fraction of `lr`.
        warmup_steps: steps over which the learning rate rises from 0.
        clip: maximum norm of the gradient; 0 does not limit it.
        precision: number format of matrix products; sums, losses and scores are float32.
        eval_every_epochs: epochs between two validations.
        patience: validations without improvement before training stops; 0 never stops early.
        keep: number of checkpoints that are kept beside the best weights.
        checkpoint_steps: steps between two checkpoints; 0 writes them after each epoch only.
        workers: threads that read batches ahead; 0 reads them between steps.
    """

    epochs: int = 20
    batch: int = 200
    batch_per_process: bool = False
    lr: float = 1e-4
    weight_decay: float = 0.0
    optimizer: Literal["adam", "adamw"] = "adam"
    schedule: Literal["exponential", "cosine", "constant"] = "exponential"
    decay_per_epoch: float = 0.96
    lag_epochs: int = 0
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
        check_ranges(self, epochs=0, batch=2, lr=POSITIVE, weight_decay=0, decay_per_epoch=0)
        check_ranges(self, final_lr_fraction=0, warmup_steps=0, clip=0, eval_every_epochs=1)
        check_ranges(self, lag_epochs=0, patience=0, keep=1, checkpoint_steps=0, workers=0)
