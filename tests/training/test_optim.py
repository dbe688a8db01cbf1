import math

import pytest
import torch
from torch import nn

from shopsight.config import TrainConfig
from shopsight.training.optim import lr_factor, make_optimizer, set_lr


def test_exponential_falls_between_epochs_only():
    config = TrainConfig(decay_per_epoch=0.5)
    shares = [lr_factor(config, epoch, done, 99) for epoch in (0, 1, 2) for done in (0, 0.9)]
    assert shares == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_cosine_ends_where_it_is_told_to():
    config = TrainConfig(epochs=4, schedule="cosine", final_lr_fraction=0.1)
    assert lr_factor(config, 0, 0.0, 0) == 1
    assert lr_factor(config, 2, 0.0, 50) == pytest.approx(0.55)
    assert lr_factor(config, 3, 1.0, 99) == pytest.approx(0.1)
    quarter = 0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2
    assert lr_factor(config, 1, 0.0, 25) == pytest.approx(quarter)


def test_warmup_rises_to_the_schedule():
    config = TrainConfig(schedule="constant", warmup_steps=4)
    assert [lr_factor(config, 0, 0, step) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_groups_keep_their_own_rates():
    fast, slow = nn.Linear(1, 1), nn.Linear(1, 1)
    groups = [
        {"params": list(fast.parameters()), "lr": 0.1, "weight_decay": 0.5},
        {"params": [], "lr": 9.0},
        {"params": list(slow.parameters()), "lr": 0.01},
    ]
    optimizer = make_optimizer(groups, TrainConfig(weight_decay=0.25))
    set_lr(optimizer, 0.5)
    set_lr(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.005]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.25]


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_the_optimizer_is_the_one_named(name, kind):
    groups = [{"params": list(nn.Linear(1, 1).parameters()), "lr": 0.1}]
    assert type(make_optimizer(groups, TrainConfig(optimizer=name))) is kind
