from dataclasses import fields, is_dataclass, replace

import pytest

import shopsight.config
from shopsight.config import (
    DualConfig,
    EncoderConfig,
    FeaturesConfig,
    Recipe,
    SentenceMatchConfig,
    TrainConfig,
    WordMatchConfig,
)
from shopsight.errors import UsageError

BROKEN = [
    (TrainConfig, {"batch": 1}, "batch must be at least 2, not 1"),
    (TrainConfig, {"lr": 0.0}, "lr must be above 0"),
    (EncoderConfig, {"label_heads": 0}, "label_heads must be at least 1, not 0"),
    (EncoderConfig, {"dropout": 1.0}, "dropout must be from 0 to below 1, not 1.0"),
    (FeaturesConfig, {"dropout": -0.1}, "dropout must be from 0"),
    (WordMatchConfig, {"trunk_dropout": True}, "trunk_dropout needs cache_trunk to be false"),
    (SentenceMatchConfig, {"train_trunk": True}, "train_trunk needs cache_trunk to be false"),
    (DualConfig, {"width": 10}, "width 10 cannot be divided among 4 heads"),
    (DualConfig, {"scale": 0.0}, "scale must be above 0"),
]

ABLATIONS = {
    "no pretraining": {"word_match": {"pretrained": False}},
    "uniform word weights": {"word_match": {"uniform_weights": True}},
    "one label head": {"encoder": {"label_heads": 1}},
    "random negatives": {"word_match": {"negatives": "random"}},
    "no hardest-negative term": {"word_match": {"hardest": False}},
    "trunk not cached": {"word_match": {"cache_trunk": False}},
    "dropout in the trunk": {"word_match": {"cache_trunk": False, "trunk_dropout": True}},
}


@pytest.mark.parametrize(("kind", "changes", "message"), BROKEN)
def test_settings_out_of_range_raise(kind, changes, message):
    with pytest.raises(UsageError, match=message):
        kind(**changes)


@pytest.mark.parametrize("changes", ABLATIONS.values(), ids=ABLATIONS.keys())
def test_every_ablation_is_a_setting(changes):
    recipe = Recipe()
    for stage, values in changes.items():
        before = getattr(recipe, stage)
        recipe = replace(recipe, **{stage: replace(before, **values)})
        assert all(getattr(before, key) != value for key, value in values.items())
    assert recipe != Recipe()


def test_every_settings_class_has_all_its_defaults():
    kinds = [value for value in vars(shopsight.config).values() if is_dataclass(value)]
    assert len(kinds) >= 14
    assert [kind() == kind() for kind in kinds] == [True] * len(kinds)


def test_every_setting_is_documented():
    kinds = [value for value in vars(shopsight.config).values() if is_dataclass(value)]
    missing = [
        f"{kind.__name__}.{field.name}"
        for kind in kinds
        for field in fields(kind)
        if f"\n        {field.name}: " not in "".join(base.__doc__ or "" for base in kind.__mro__)
    ]
    assert missing == []
    assert sum(len(fields(kind)) for kind in kinds) >= 140
