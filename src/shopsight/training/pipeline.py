"""The whole training: query groups, every stage, runs, ensemble and submissions.

Finished work is kept: a stage with a ``done.json``, a run that is newer than its model. So the
same call resumes after an interruption.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from shopsight.config import Recipe
from shopsight.data.dataset import PreparedData
from shopsight.inference.evaluate import StepDone, TrainingResults, no_progress, rank_and_fuse
from shopsight.inference.ranker import Ranker
from shopsight.inference.run_folder import RunFolder
from shopsight.inference.timings import Timings
from shopsight.models.registry import default_models
from shopsight.training.callbacks import Callback
from shopsight.training.distributed import DistributedContext
from shopsight.training.reuse import take_over
from shopsight.training.session import TrainingSession
from shopsight.types import Run


@dataclass(frozen=True, eq=False)
class TrainOptions:
    """Options of a training that do not decide its weights.

    Args:
        stages: names of the models to train; those of the recipe that suit the data if left out.
        baselines: runs of the validation split to compare with.
        reuse: other run folders, whose finished stages are copied where they would be the same.
        step_done: called after every finished step with its name and a summary.
    """

    stages: Sequence[str] | None = None
    baselines: Mapping[str, Run] = field(default_factory=dict)
    reuse: Sequence[Path] = ()
    context: DistributedContext = field(default_factory=DistributedContext)
    callback: Callback = field(default_factory=Callback)
    step_done: StepDone = no_progress


def train(
    data: PreparedData, recipe: Recipe, out: Path, options: TrainOptions | None = None
) -> TrainingResults | None:
    """Train stages, then rank, fuse, compare and submit with every trained model of the folder.

    All processes but the first, which alone ranks, get None.

    Raises:
        ShopsightError: see `RunFolder.open` and `TrainingSession.train_stage`.
    """
    options = options or TrainOptions()
    context = options.context
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    stages = default_models(recipe, data.path) if options.stages is None else options.stages
    folder = _open(data, recipe, out, options)
    session = TrainingSession(data, folder, context, options.callback, options.step_done)
    for stage in stages:
        session.train_stage(stage)
    if not context.main:
        return None
    return rank_and_fuse(Ranker(folder, context.device), data, options.baselines, options.step_done)


def _open(data: PreparedData, recipe: Recipe, out: Path, options: TrainOptions) -> RunFolder:
    """The run folder, which the first process creates and fills with reused stages."""
    if options.context.main:
        others = [RunFolder.read(path) for path in options.reuse]
        folder = RunFolder.open(out, recipe, data)
        for other in others:
            stages = take_over(folder, other)
            Timings(folder.path).take_over(Timings(other.path), stages)
            copied = ", ".join(stages) or "nothing that is the same"
            options.step_done("reuse", f"{copied} from {other.path}")
    options.context.barrier()
    return RunFolder.open(out, recipe, data)
