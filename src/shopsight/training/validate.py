"""Validate data against a recipe before training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shopsight.config import LEARNED, Recipe
from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import TRAIN, VALID
from shopsight.errors import DataError, UsageError
from shopsight.formats.outputs import check_space
from shopsight.formats.submission import DEPTH
from shopsight.inference.run_folder import StageFolder, run_vocabulary
from shopsight.models.registry import model_names, model_spec
from shopsight.text.normalise import normalise


def check(data: PreparedData, recipe: Recipe, stages: Sequence[str], out: Path) -> list[str]:
    """Raise an error for a training that cannot work, from its first step to its last ranking.

    It reads queries, pools and whatever the models start from: seconds, where the mistake would
    else show after the query groups or at the very end.

    Returns:
        Notes on what the training will leave out, or read in a way that may surprise.

    Raises:
        DataError: a missing training or validation split, missing qrels, a single query, candidates
            that are not in the data, or weights or word vectors that cannot be read.
        UsageError: widths that do not fit the data, or a stage without the one it starts from.
    """
    for split in (TRAIN, VALID):
        if split not in data.splits:
            has = ", ".join(data.splits)
            raise DataError(f"{data.path}: training needs a split '{split}' (it has: {has})")
    if len({normalise(text) for text in data.queries(TRAIN).texts}) < 2:
        raise DataError(
            f"{data.path}: all training queries are the same query; there are no negatives"
        )
    if not data.qrels(VALID).relevance.keys() & set(data.pools(VALID).query_ids):
        raise DataError(f"{data.path}: no query of {VALID} has relevance judgements")
    for stage in stages:
        needed = data.path / model_spec(stage).needs
        if not needed.exists():
            raise UsageError(
                f"stage {stage} needs {needed}, which prepare photos --learn writes; prepare the"
                f" photos so, or leave {stage} out of --stages"
            )
        if model_spec(stage).uses_trunk:
            recipe.encoder.check_width(data.store.width)
        recipe.model(stage).check_width(data.store.width)
        _check_start(recipe, stage, stages, out)
    _check_space(data, recipe, stages, out)
    notes = [_check_pools(data, split) for split in data.splits if split != TRAIN]
    return [note for note in [*notes, _check_words(data, recipe)] if note]


def _check_start(recipe: Recipe, stage: str, stages: Sequence[str], out: Path) -> None:
    """Check that a stage finds the models from which it starts, and can read them."""
    config, earlier = recipe.model(stage), model_names()[: model_names().index(stage)]
    for start in config.starts_from:
        folder = StageFolder(out / model_spec(start).name, start)
        if start not in earlier:
            raise UsageError(f"stage {stage} cannot start from {start}, which comes after it")
        if folder.done() is not None:
            from shopsight.weights import weight_shapes

            weight_shapes(folder.best)
        elif start not in stages:
            key = f"{stage.replace('-', '_')}.{config.from_scratch}"
            raise UsageError(
                f"stage {stage} starts from {start}, which is not trained in {out};"
                f" add {start} to --stages{f', or set {key}' if config.from_scratch else ''}"
            )


def _check_space(data: PreparedData, recipe: Recipe, stages: Sequence[str], out: Path) -> None:
    """Check that the output of the trunk, by far the largest file of a run, fits on the disk."""
    cached = any(model_spec(s).uses_trunk and recipe.model(s).cache_trunk for s in stages)
    if cached and not list((out / "cache").glob("trunk-*")):
        width = recipe.encoder.features.output_width(data.store.width)
        needed = data.manifest["regions"]["total"] * width * np.dtype(np.float16).itemsize
        check_space(out, needed, "the output of the frozen trunk")


def _check_pools(data: PreparedData, split: str) -> str:
    """Check that every candidate can be ranked; a note if the pools are too small to submit."""
    pools = data.pools(split)
    data.store.index_of(pools.product_ids.tolist())
    short = [query for query in pools.query_ids if len(set(pools.of(query))) < DEPTH]
    if split == VALID or not short:
        return ""
    count = len(set(pools.of(short[0])))
    return (
        f"{split}: no submission, for which every query needs {DEPTH} candidates (query"
        f" '{short[0]}' has {count})"
    )


def _check_words(data: PreparedData, recipe: Recipe) -> str:
    """Check that published word vectors fit the vocabulary; a note on how its tokens find them."""
    if recipe.words.source == LEARNED:
        return ""
    from shopsight.models.word_vectors import published_word_vectors, spell_vocabulary

    vocabulary, source = run_vocabulary(data, recipe), recipe.words.source
    published_word_vectors(source, vocabulary)
    pieces = sum(len(ids) > 1 for ids in spell_vocabulary(source, vocabulary))
    return (
        f"words: {vocabulary.size:,} tokens have vectors of {source}, {pieces:,} of them the mean"
        " of their pieces"
    )
