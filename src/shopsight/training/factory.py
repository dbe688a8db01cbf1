"""What a recipe builds for each stage: its settings, model, task and loader."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shopsight.batches.click_dataset import ClickedPairs
from shopsight.batches.loader import Loader, RegionSource
from shopsight.config import (
    DualConfig,
    LabelMatchConfig,
    Recipe,
    SentenceMatchConfig,
    TrainConfig,
    WordMatchConfig,
)
from shopsight.data.region_store import RegionStore
from shopsight.inference.weights import load_part
from shopsight.models.dual import Dual
from shopsight.models.label_match import LabelMatch, SpecialIds
from shopsight.models.region_features import RegionFeatures
from shopsight.models.sentence_match import SentenceMatch
from shopsight.models.word_match import WordMatch
from shopsight.models.word_vectors import WordVectors, make_word_vectors
from shopsight.text.vocabulary import Vocabulary
from shopsight.training.distributed import DistributedContext
from shopsight.training.tasks.base import (
    DualTask,
    LabelMatchTask,
    SentenceMatchTask,
    Task,
    WordMatchTask,
)

_MEASURED = 4096  # products whose regions tell the features' mean and deviation


def stage_config(
    recipe: Recipe, stage: str
) -> LabelMatchConfig | WordMatchConfig | SentenceMatchConfig | DualConfig:
    """The settings of one stage."""
    config: Any = getattr(recipe, stage.replace("-", "_"))
    return config  # type: ignore[no-any-return]


def train_config(recipe: Recipe, stage: str, phase: int = 1) -> TrainConfig:
    """How a stage is trained, in its first phase or, of the dual encoder, the second."""
    config = stage_config(recipe, stage)
    if phase == 1:
        return config.train
    assert isinstance(config, DualConfig)
    return replace(
        config.train,
        epochs=config.phase2_epochs,
        lr=config.train.lr * config.phase2_lr_factor,
        batch=config.phase2_batch or config.train.batch,
        schedule="cosine",
        final_lr_fraction=0.0,
        warmup_steps=0,
    )


def stage_seed(recipe: Recipe, stage: str, purpose: str) -> int:
    """A seed of its own for each purpose in each stage."""
    # The published scores were measured when this stage was named "pretrain"; the random streams
    # keep that key, so that renaming the stage did not change a single number.
    name = "pretrain" if stage == "label-match" else stage
    key = [zlib.crc32(f"{name}/{purpose}".encode()), recipe.seed]
    return int(np.random.SeedSequence(key).generate_state(1)[0])


def make_task(
    stage: str,
    recipe: Recipe,
    vocabulary: Vocabulary,
    pairs: ClickedPairs,
    store: RegionStore,
    *,
    pretrained: Path | None = None,
    world: DistributedContext | None = None,
) -> Task:
    """A stage's task as training begins, on the process's device.

    Args:
        stage: one of `shopsight.config.STAGES`.
        recipe: all settings.
        vocabulary: the tokens.
        pairs: the clicked pairs, which tell the words that occur.
        store: the catalogue, which tells the feature width.
        pretrained: label-match weights, whose encoder and word vectors are loaded.
        world: the processes that train together.

    Raises:
        UsageError: the recipe does not fit the data.
        DataError: the pretrained weights, or a published model's, cannot be read.
    """
    world = world or DistributedContext()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stage_seed(recipe, stage, "weights"))
        cooccurring = _cooccurring(pairs) if recipe.words.start == "cooccurrence" else ()
        words = make_word_vectors(recipe.words, vocabulary.size, cooccurring)
        counts = _occurrences(pairs, vocabulary)
        ids = torch.from_numpy(np.flatnonzero(counts))
        model = _make_model(stage, recipe, store.width, vocabulary, words, ids, counts)
    _fit_features(model, pairs, store)
    if pretrained is not None:
        for name, part in (("encoder", getattr(model, "encoder", None)), ("words", words)):
            if part is not None:
                load_part(pretrained, f"{name}.", part)
    return _as_task(model, recipe, vocabulary, world).to(world.device)


def _cooccurring(pairs: ClickedPairs) -> list[list[int]]:
    """For each product, the words of all queries that it was clicked for."""
    words = pairs.product_words
    return [part.tolist() for part in np.split(words.ids, words.offsets[1:-1])]


def make_loader(
    stage: str,
    recipe: Recipe,
    pairs: ClickedPairs,
    source: RegionSource,
    world: DistributedContext | None = None,
    phase: int = 1,
) -> Loader:
    """The batches of a stage.

    Args:
        stage: one of `shopsight.config.STAGES`.
        recipe: all settings.
        pairs: the clicked pairs.
        source: the region store, or a cache of trunk outputs.
        world: the processes that train together.
        phase: of the dual encoder; in the second all batches hold like queries.

    Raises:
        UsageError: the batch cannot be shared equally by the processes.
        DataError: some pair has no negative.
    """
    config, train = stage_config(recipe, stage), train_config(recipe, stage, phase)
    world = world or DistributedContext()
    negatives, labels, share, first, words = None, None, 0.0, 0, False
    if isinstance(config, WordMatchConfig | SentenceMatchConfig):
        negatives = pairs.sampler(config.negatives, recipe.negatives)
    if isinstance(config, DualConfig):
        groups = pairs.groups
        labels = groups.last_word if config.phase2_by == "last-word" else groups.cluster
        share, first = (config.hard_fraction, config.hard_from_epoch) if phase == 1 else (1.0, 0)
    if isinstance(config, DualConfig | WordMatchConfig):
        words = config.false_negatives == "subset"
    if isinstance(config, LabelMatchConfig):
        words = config.labels == "product"
    return Loader(
        pairs,
        source,
        train.batch,
        stage_seed(recipe, stage, f"batches {phase}"),
        negatives=negatives,
        group_labels=labels,
        hard_fraction=share,
        hard_from_epoch=first,
        with_words=words,
        through_trunk=bool(getattr(source, "through_trunk", False)),
        rank=world.rank,
        size=world.size,
        workers=train.workers,
    )


def _make_model(
    stage: str,
    recipe: Recipe,
    width: int,
    vocabulary: Vocabulary,
    words: WordVectors,
    ids: Tensor,
    counts: Tensor | None,
) -> nn.Module:
    if stage == "label-match":
        special = SpecialIds(vocabulary.pad, vocabulary.unk, vocabulary.start, vocabulary.end)
        return LabelMatch(width, words, recipe.encoder, ids, special)
    if stage == "word-match":
        return WordMatch(width, words, recipe.encoder, recipe.word_match)
    if stage == "sentence-match":
        return SentenceMatch(width, words, recipe.encoder, recipe.sentence_match)
    return Dual(width, vocabulary.size, recipe.dual, vocabulary.unk, counts, words)


def _as_task(
    model: nn.Module, recipe: Recipe, vocabulary: Vocabulary, world: DistributedContext
) -> Task:
    ignored = torch.tensor([vocabulary.pad, vocabulary.unk, vocabulary.start, vocabulary.end])
    match model:
        case LabelMatch():
            return LabelMatchTask(model, recipe.label_match)
        case WordMatch():
            _freeze(model, recipe.word_match)
            return WordMatchTask(model, recipe.word_match, world, ignored)
        case SentenceMatch():
            _freeze(model, recipe.sentence_match)
            return SentenceMatchTask(model, recipe.sentence_match)
        case Dual():
            return DualTask(model, recipe.dual, world, ignored)
    raise ValueError(f"no task trains a {type(model).__name__}")


def _freeze(
    model: WordMatch | SentenceMatch, config: WordMatchConfig | SentenceMatchConfig
) -> None:
    """Train no more of the encoder and the words than the stage asks for."""
    if not config.train_trunk:
        model.encoder.freeze_trunk(dropout=config.trunk_dropout)
    model.words.requires_grad_(config.train_words)


def _occurrences(pairs: ClickedPairs, vocabulary: Vocabulary) -> Tensor:
    """(V,) distinct clicked queries that hold each token."""
    clicked = pairs.tokens.block(np.unique(pairs.texts))
    ordered = clicked.ids.masked_fill(~clicked.mask, -1).sort(1).values
    new = ordered != ordered.roll(1, 1)
    new[:, 0] = True
    return torch.bincount(ordered[new & (ordered >= 0)], minlength=vocabulary.size)


def _fit_features(model: nn.Module, pairs: ClickedPairs, store: RegionStore) -> None:
    """Let the model see what features look like, where it standardises or reduces them."""
    wanted = [one for one in model.modules() if isinstance(one, RegionFeatures)]
    if not any(one.needs_fit for one in wanted):
        return
    products = np.unique(pairs.products)
    few = products[:: max(len(products) // _MEASURED, 1)]
    sample = torch.from_numpy(store.read(few).features)
    for one in wanted:
        if one.needs_fit:
            one.fit(sample)
