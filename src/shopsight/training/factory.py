"""Build the task and the loader of a stage from a recipe."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shopsight.batches.candidates import CandidateLoader, ScoredCandidates
from shopsight.batches.click_dataset import ClickedPairs
from shopsight.batches.loader import EpochLoader, Loader, RegionReader
from shopsight.config import LEARNED, Recipe
from shopsight.data.region_store import RegionStore
from shopsight.models.region_features import RegionFeatures
from shopsight.models.registry import ModelInputs, model_spec
from shopsight.models.word_vectors import (
    WordVectors,
    make_word_vectors,
    published_word_vectors,
)
from shopsight.text.vocabulary import Vocabulary
from shopsight.training.distributed import DistributedContext
from shopsight.training.tasks.base import Task

_SAMPLE = 4096  # products from whose regions feature statistics are computed


def stage_seed(recipe: Recipe, stage: str, purpose: str) -> int:
    """An independent seed for each purpose in each stage."""
    name = model_spec(stage).seed_key or stage
    key = [zlib.crc32(f"{name}/{purpose}".encode()), recipe.seed]
    return int(np.random.SeedSequence(key).generate_state(1)[0])


def make_task(
    stage: str,
    recipe: Recipe,
    vocabulary: Vocabulary,
    pairs: ClickedPairs,
    store: RegionStore,
    *,
    weights_of: Callable[[str], Path] | None = None,
    context: DistributedContext | None = None,
) -> Task:
    """The task of a stage before its first step, on the device of the process.

    ``weights_of`` finds the weights of the stages that it starts from; without it, it starts from
    random ones.

    Raises:
        UsageError: the recipe does not fit the data.
        DataError: the weights of an earlier stage, or of a published model, cannot be read.
    """
    context, spec = context or DistributedContext(), model_spec(stage)
    # The seed of the weights must not change the random numbers of the calling process. Word
    # vectors are made for every model, needed or not: the numbers after them depend on it.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stage_seed(recipe, stage, "weights"))
        words = _word_vectors(recipe, vocabulary, pairs)
        counts = _token_counts(pairs, vocabulary)
        inputs = ModelInputs(recipe, store.width, vocabulary, words, counts, store.folder)
        model = spec.network_class.build(recipe.model(stage), inputs)
    _fit_features(model, pairs, store)
    special = torch.tensor([vocabulary.pad, vocabulary.unk, vocabulary.start, vocabulary.end])
    # Pairs of other processes compete only where the processes share a batch.
    alone = recipe.model(stage).train.batch_per_process
    own = DistributedContext(device=context.device) if alone else context
    task: Task = spec.task_class(model, recipe.model(stage), own, special)
    if weights_of is not None:
        task.start(weights_of)
    task.freeze()
    return task.to(context.device)


def make_loader(
    task: Task,
    stage: str,
    recipe: Recipe,
    pairs: ClickedPairs | ScoredCandidates,
    source: RegionReader,
    context: DistributedContext,
    phase: int = 1,
) -> EpochLoader[Any]:
    """The batches of one phase, from 1, of a stage, whose task decides what they hold.

    A stage that imitates others reads scored candidates in place of clicked pairs.

    Raises:
        UsageError: the processes cannot divide the batch equally.
        DataError: a pair has no negative.
    """
    train = recipe.model(stage).phases[phase - 1]
    options = task.batch_options(pairs, recipe.negatives, phase)
    shared: dict[str, Any] = {
        "source": source,
        "batch": train.batch * (context.size if train.batch_per_process else 1),
        "seed": stage_seed(recipe, stage, f"batches {phase}"),
        "through_trunk": bool(getattr(source, "through_trunk", False)),
        "rank": context.rank,
        "size": context.size,
        "workers": train.workers,
    }
    if isinstance(pairs, ScoredCandidates):
        return CandidateLoader(pairs, **shared, **options)
    return Loader(pairs, **shared, **options)


def _word_vectors(recipe: Recipe, vocabulary: Vocabulary, pairs: ClickedPairs) -> WordVectors:
    if recipe.words.source != LEARNED:
        return published_word_vectors(recipe.words.source, vocabulary)
    cooccurring = list[list[int]]()
    if recipe.words.start == "cooccurrence":
        # For each product, the words of all queries that it was clicked for.
        words = pairs.product_words
        cooccurring = [ids.tolist() for ids in np.split(words.ids, words.offsets[1:-1])]
    return make_word_vectors(recipe.words, vocabulary.size, cooccurring)


def _token_counts(pairs: ClickedPairs, vocabulary: Vocabulary) -> Tensor:
    """(V,) distinct clicked queries that hold each token."""
    clicked = pairs.tokens.block(np.unique(pairs.texts))
    # Sorted rows make repeated tokens of a query neighbours, so that each counts once.
    ordered = clicked.ids.masked_fill(~clicked.mask, -1).sort(1).values
    new = ordered != ordered.roll(1, 1)
    new[:, 0] = True
    return torch.bincount(ordered[new & (ordered >= 0)], minlength=vocabulary.size)


def _fit_features(model: nn.Module, pairs: ClickedPairs, store: RegionStore) -> None:
    """Fit feature standardisation and PCA on regions of evenly spaced training products."""
    layers = [
        layer for layer in model.modules() if isinstance(layer, RegionFeatures) and layer.needs_fit
    ]
    if layers:
        products = np.unique(pairs.products)
        chosen = products[:: max(len(products) // _SAMPLE, 1)]
        sample = torch.from_numpy(store.read(chosen).features)
        for layer in layers:
            layer.fit(sample)
