"""One stage from its beginning, or from where it stands, to its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from shopsight.batches.click_dataset import ClickedPairs
from shopsight.batches.loader import RegionSource
from shopsight.config import DualConfig, LabelMatchConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import UsageError
from shopsight.inference.run_folder import RunFolder, StageFolder
from shopsight.inference.trunk_cache import TrunkCache, trunk_key
from shopsight.models.image_encoder import ImageEncoder
from shopsight.models.sentence_match import SentenceMatch
from shopsight.models.word_match import WordMatch
from shopsight.text.vocabulary import Vocabulary
from shopsight.training.callbacks import Callback, NullCallback
from shopsight.training.distributed import DistributedContext
from shopsight.training.factory import (
    make_loader,
    make_task,
    stage_config,
    stage_seed,
    train_config,
)
from shopsight.training.loop import fit
from shopsight.training.state import StageResult
from shopsight.training.tasks.base import Task

Evaluator = Callable[[nn.Module, RegionSource], float]
"""From a model in evaluation mode, and where it reads regions, to its validation score."""


def train_stage(
    stage: str,
    run: RunFolder,
    data: PreparedData,
    pairs: ClickedPairs,
    vocabulary: Vocabulary,
    *,
    judge: Evaluator | None = None,
    progress: Callback | None = None,
    world: DistributedContext | None = None,
) -> StageResult:
    """Train a stage of a run; a finished one is not trained again.

    Args:
        stage: one of `shopsight.config.STAGES`.
        run: the run folder; its recipe says how.
        data: the prepared folder.
        pairs: its clicked pairs.
        vocabulary: the tokens.
        judge: scores the validation split; called in the first process only.
        progress: told about every step.
        world: the processes that train together.

    Returns:
        What the stage came to; its weights are ``run.stage(stage).best``.

    Raises:
        UsageError: the stage needs pretraining, which was not run; or see `make_task`.
        TrainingError: see `fit`.
    """
    world, progress, recipe = world or DistributedContext(), progress or NullCallback(), run.recipe
    folder = run.stage(stage)
    if finished := folder.done():
        return StageResult(**finished)
    task = make_task(
        stage,
        recipe,
        vocabulary,
        pairs,
        data.store,
        pretrained=_pretrained(run, stage),
        world=world,
    )
    source = _source(task, run, data, progress, world)

    def phase(number: int, place: StageFolder) -> StageResult:
        return fit(
            task,
            make_loader(stage, recipe, pairs, source, world, number),
            train_config(recipe, stage, number),
            place,
            seed=stage_seed(recipe, stage, f"dropout {number}"),
            validate=judge and (lambda task: judge(task.model, source)),
            validate_first=number > 1,
            progress=progress,
            world=world,
        )

    config = stage_config(recipe, stage)
    if isinstance(config, DualConfig) and config.phase2_epochs:
        phase(1, folder.phase(1))  # ends with its best weights, from which the second begins
        return phase(2, folder)
    return phase(1, folder)


def _pretrained(run: RunFolder, stage: str) -> Path | None:
    """The weights a stage begins with; None if it begins with random ones."""
    config = stage_config(run.recipe, stage)
    if isinstance(config, LabelMatchConfig):
        return None
    wanted = config.vectors == "shared" if isinstance(config, DualConfig) else config.pretrained
    if not wanted:
        return None
    if run.stage("label-match").done() is None:
        raise UsageError(
            f"{stage} begins with what label-match learned; train the stage label-match too"
        )
    return run.stage("label-match").best


def _source(
    task: Task, run: RunFolder, data: PreparedData, progress: Callback, world: DistributedContext
) -> RegionSource:
    """Where the task reads regions: the store, or what the frozen trunk made of it."""
    model = task.model
    if not isinstance(model, WordMatch | SentenceMatch):
        return data.store
    if not stage_config(run.recipe, task.name).cache_trunk:  # type: ignore[union-attr]
        return data.store
    encoder, folder = model.encoder.eval(), run.path / "cache"
    key = trunk_key(encoder.trunk, data)
    if world.main:
        progress.note(f"{task.name}: the frozen trunk over {len(data.store):,} products")
        _cached_trunk(folder, data, encoder, key, world)
    world.barrier()
    return _cached_trunk(folder, data, encoder, key, world)


def _cached_trunk(
    folder: Path, data: PreparedData, encoder: ImageEncoder, key: str, world: DistributedContext
) -> TrunkCache:
    width, run = encoder.trunk.width, encoder.through_trunk
    return TrunkCache.build(folder, data.store, run, key, world.device, width=width)
