"""The optimizer and its learning rate, which is a pure function of where training stands."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim import Optimizer

from shopsight.config import TrainConfig


def make_optimizer(groups: list[dict[str, Any]], config: TrainConfig) -> Optimizer:
    """Adam or AdamW over parameter groups, fused: one pass over the weights, a seventh of the time.

    Args:
        groups: each with "params" and "lr", and "weight_decay" where it is not the stage's.
        config: which optimizer.
    """
    kept = [group for group in groups if group["params"]]
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    optimizer: Optimizer = kind(kept, config.lr, weight_decay=config.weight_decay, fused=True)
    for group in optimizer.param_groups:
        group["full_lr"] = group["lr"]
    return optimizer


def set_lr(optimizer: Optimizer, share: float) -> None:
    """Let every group learn at a share of its own full rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["full_lr"] * share


def lr_factor(config: TrainConfig, epoch: int, done: float, steps: int) -> float:
    """The share of the full learning rate at one step.

    Args:
        config: the schedule.
        epoch: epochs that are over.
        done: share of the current epoch that is over, from 0 to 1.
        steps: steps that are over, of all epochs.

    >>> config = TrainConfig(epochs=2, schedule="cosine", final_lr_fraction=0.0, warmup_steps=4)
    >>> [round(lr_factor(config, e, d, s), 3) for e, d, s in [(0, 0, 0), (0, 0.5, 50), (1, 0, 99)]]
    [0.25, 0.854, 0.5]
    """
    share = 1.0
    if config.schedule == "exponential":
        share = config.decay_per_epoch**epoch
    elif config.schedule == "cosine":
        way = min((epoch + done) / max(config.epochs, 1), 1.0)
        fall = (1 + math.cos(math.pi * way)) / 2
        share = config.final_lr_fraction + (1 - config.final_lr_fraction) * fall
    return share * min((steps + 1) / config.warmup_steps, 1.0) if config.warmup_steps else share
