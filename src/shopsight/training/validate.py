"""What is refused before any work: data that a recipe cannot be trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shopsight.config import FeaturesConfig, Recipe
from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import TRAIN, VALID
from shopsight.errors import DataError, UsageError
from shopsight.text.normalise import normalise

_ENCODER_STAGES = ("label-match", "word-match", "sentence-match")


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
    data.qrels(VALID)
    if len({normalise(text) for text in data.queries(TRAIN).texts}) < 2:
        raise DataError(
            f"{data.path}: all training queries are the same query; there are no negatives"
        )
    _check_width(data.store.width, recipe, stages)
    _check_order(recipe, stages, out)


def _check_width(width: int, recipe: Recipe, stages: Sequence[str]) -> None:
    if set(stages) & set(_ENCODER_STAGES):
        seen = _seen_width(width, recipe.encoder.features)
        _check_heads(seen, recipe.encoder.attention_heads, "encoder.attention_heads")
    if "dual" in stages:
        seen = _seen_width(width, recipe.dual.features)
        if recipe.dual.direct:
            _check_heads(seen, recipe.dual.heads, "dual.heads")


def _seen_width(width: int, features: FeaturesConfig) -> int:
    if features.components > width:
        raise UsageError(
            f"features.components = {features.components} are more than the data's feature width"
            f" {width}; set another number"
        )
    return features.components or width


def _check_heads(seen: int, heads: int, name: str) -> None:
    if seen % heads:
        raise UsageError(
            f"the data's feature width {seen} cannot be divided among {name} = {heads};"
            " set another number"
        )


def _check_order(recipe: Recipe, stages: Sequence[str], out: Path) -> None:
    pretrained = "label-match" in stages or (out / "label-match" / "done.json").is_file()
    for stage, config in (
        ("word-match", recipe.word_match),
        ("sentence-match", recipe.sentence_match),
    ):
        if stage in stages and config.pretrained and not pretrained:
            key = stage.replace("-", "_")
            raise UsageError(
                f"stage {stage} starts from label-match, which is not trained in {out};"
                f" add label-match to --stages, or set {key}.pretrained=false"
            )
