"""Validate data against a recipe before training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shopsight.config import Recipe
from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import TRAIN, VALID
from shopsight.errors import DataError, UsageError
from shopsight.models.registry import PRETRAINING, model_spec
from shopsight.text.normalise import normalise


def check(data: PreparedData, recipe: Recipe, stages: Sequence[str], out: Path) -> None:
    """Raise an error for a training that cannot work, at the cost of reading the queries.

    Raises:
        DataError: a missing training or validation split, missing qrels, or a single query.
        UsageError: widths that do not fit the data, or a stage without the one it starts from.
    """
    for split in (TRAIN, VALID):
        if split not in data.splits:
            has = ", ".join(data.splits)
            raise DataError(f"{data.path}: training needs a split '{split}' (it has: {has})")
    data.qrels(VALID)
    if len({normalise(text) for text in data.queries(TRAIN).texts}) < 2:
        raise DataError(
            f"{data.path}: all training queries are the same query; there are no negatives"
        )
    for stage in stages:
        if model_spec(stage).uses_trunk:
            recipe.encoder.check_width(data.store.width)
        recipe.model(stage).check_width(data.store.width)
    if PRETRAINING in stages or (out / PRETRAINING / "done.json").is_file():
        return
    for stage in stages:
        config = recipe.model(stage)
        if config.pretrained:
            key = f"{stage.replace('-', '_')}.{config.from_scratch}"
            raise UsageError(
                f"stage {stage} starts from {PRETRAINING}, which is not trained in {out};"
                f" add {PRETRAINING} to --stages, or set {key}"
            )
