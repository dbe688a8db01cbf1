"""What is refused before any work: data that a recipe cannot be trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shopsight.catalogue.data import PreparedData
from shopsight.catalogue.splits import TRAIN
from shopsight.config import Recipe
from shopsight.errors import DataError, UsageError
from shopsight.text.normalise import normalise

VALID = "valid"
_ENCODER_STAGES = ("pretrain", "word-match", "sentence-match")


def check(data: PreparedData, recipe: Recipe, stages: Sequence[str], out: Path) -> None:
    """Refuse what cannot work; it costs no more than reading the queries.

    Args:
        data: the prepared folder.
        recipe: what shall be trained.
        stages: which stages of it.
        out: the run folder, where earlier stages may be finished already.

    Raises:
        DataError: no training or validation split, no answers, one query only.
        UsageError: widths that do not fit the data, or a stage without the one it starts from.
    """
    for split in (TRAIN, VALID):
        if split not in data.splits:
            has = ", ".join(data.splits)
            raise DataError(f"{data.path}: training needs a split '{split}' (it has: {has})")
    if data.answers(VALID) is None:
        raise DataError(
            f"{data.path}: split '{VALID}' has no answers to judge by; prepare it with"
            f" {VALID}_answer.json beside its raw file"
        )
    if len({normalise(text) for text in data.queries(TRAIN).texts}) < 2:
        raise DataError(
            f"{data.path}: all training queries are the same query; there are no negatives"
        )
    _check_width(data.store.width, recipe, stages)
    _check_order(recipe, stages, out)


def _check_width(width: int, recipe: Recipe, stages: Sequence[str]) -> None:
    heads = recipe.encoder.attention_heads
    if set(stages) & set(_ENCODER_STAGES) and width % heads:
        raise UsageError(
            f"the data's feature width {width} cannot be divided among encoder.attention_heads"
            f" = {heads}; set another number"
        )
    if "dual" in stages and recipe.dual.direct and width % recipe.dual.heads:
        raise UsageError(
            f"the data's feature width {width} cannot be divided among dual.heads ="
            f" {recipe.dual.heads}, which dual.direct asks for; set another number"
        )


def _check_order(recipe: Recipe, stages: Sequence[str], out: Path) -> None:
    pretrained = "pretrain" in stages or (out / "pretrain" / "done.json").is_file()
    for stage, config in (
        ("word-match", recipe.word_match),
        ("sentence-match", recipe.sentence_match),
    ):
        if stage in stages and config.pretrained and not pretrained:
            key = stage.replace("-", "_")
            raise UsageError(
                f"stage {stage} starts from pretrain, which is not trained in {out}; add pretrain"
                f" to --stages, or set {key}.pretrained=false"
            )
