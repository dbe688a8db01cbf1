"""The training loop, top to bottom.

It goes on exactly where it was, in the middle of an epoch too, because a step depends on nothing
but the weights, the optimizer's moments and where training stands: its batch and all its random
numbers follow from the seed, the step and the process.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from shopsight.batches.batch import PairBatch
from shopsight.config import TrainConfig
from shopsight.inference.run_folder import StageFolder
from shopsight.inference.weights import load_weights
from shopsight.training.callbacks import Callback, NullCallback, Status
from shopsight.training.distributed import DistributedContext, average_gradients, broadcast_weights
from shopsight.training.optim import lr_factor, make_optimizer, set_lr
from shopsight.training.recorder import Recorder, TrainingError
from shopsight.training.signals import Interrupts
from shopsight.training.state import StageResult, TrainState
from shopsight.training.tasks.base import Task

Validate = Callable[[Task], float]


class Batches(Protocol):
    """Where batches come from; see `shopsight.batches.loader.Loader`."""

    @property
    def batch(self) -> int:
        """Clicked pairs in a batch, over all processes together."""

    def steps(self, epoch: int) -> int:
        """Batches of an epoch."""

    def epoch(self, epoch: int, start: int = 0) -> Generator[PairBatch]:
        """This process's slices of an epoch's batches, from batch ``start`` on."""


def fit(
    task: Task,
    loader: Batches,
    config: TrainConfig,
    folder: StageFolder,
    *,
    seed: int = 0,
    validate: Validate | None = None,
    validate_first: bool = False,
    progress: Callback | None = None,
    world: DistributedContext | None = None,
) -> StageResult:
    """Train a task, or go on where its folder stands; the task ends with the best weights.

    Args:
        task: model and losses, on the device.
        loader: batches by epoch and step.
        config: how it is trained.
        folder: checkpoints, metrics and the best weights go there.
        seed: of dropout.
        validate: scores the task, higher is better; called in the first process only, in
            evaluation mode. Without it the last weights count as the best.
        validate_first: score the weights that it starts from too, as epoch 0.
        progress: told about every step.
        world: the processes that train together.

    Raises:
        TrainingError: a loss is not finite.
        OutputError: a file cannot be written, or a weight is not finite.
        DataError: what is in the folder is damaged, or of another model.
        KeyboardInterrupt: Ctrl-C; a checkpoint after the last step was written before.
    """
    world, progress = world or DistributedContext(), progress or NullCallback()
    if finished := folder.done():
        load_weights(folder.best, task.model)
        return StageResult(**finished)

    optimizer = make_optimizer(task.parameter_groups(config), config)
    records = Recorder(folder, task.model, optimizer, config, world)
    broadcast_weights(task.model, world)
    at = records.resume()

    with Interrupts() as interrupts:
        try:
            if validate and validate_first and at.best is None and at.steps == 0:
                records.score(at, _score(task, validate, world))
            while at.epoch < config.epochs and not at.stopped:
                steps = loader.steps(at.epoch)
                stop = False
                with interrupts.held(), closing(loader.epoch(at.epoch, at.step)) as batches:
                    for batch, waited in _timed(batches):
                        began = time.perf_counter()
                        share = lr_factor(config, at.epoch, at.step / steps, at.steps)
                        set_lr(optimizer, share)
                        _seed(seed, at.steps, world.rank)
                        parts = _forward(task, batch, config, world)
                        values, stop = _agree(parts, interrupts.asked, world)
                        _refuse_nan(values, folder, at)
                        _backward(task, parts, config, world)
                        optimizer.step()
                        at.add(values, waited + time.perf_counter() - began, waited)
                        progress.step(_status(folder, config, loader, at, steps))
                        records.log_step(at, steps, config.lr * share, loader.batch)
                        if records.checkpoint_due(at):
                            records.save(at)
                        if stop:
                            break
                if stop:
                    raise KeyboardInterrupt
                score = None
                if validate and _validation_due(config, at.epoch):
                    score = _score(task, validate, world)
                with interrupts.held():
                    _end_epoch(at, score, config, folder, records, progress)
        except KeyboardInterrupt:
            if not interrupts.torn:
                with interrupts.held():
                    records.save(at)
            raise
    return records.finish(at, loader.batch)


def _forward(
    task: Task, batch: PairBatch, config: TrainConfig, world: DistributedContext
) -> dict[str, Tensor]:
    """The parts of the loss."""
    task.train()
    lower = config.precision == "bf16"
    with torch.autocast(world.device.type, torch.bfloat16, enabled=lower):
        return task.losses(batch.to(world.device))


def _backward(
    task: Task, parts: Mapping[str, Tensor], config: TrainConfig, world: DistributedContext
) -> None:
    """The gradient of the global batch in every process."""
    task.zero_grad(set_to_none=True)
    torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
    average_gradients(task.parameters(), world)
    if config.clip:
        nn.utils.clip_grad_norm_(task.parameters(), config.clip)


def _end_epoch(
    at: TrainState,
    score: float | None,
    config: TrainConfig,
    folder: StageFolder,
    records: Recorder,
    progress: Callback,
) -> None:
    if score is not None:
        records.score(at, score)
        progress.note(f"{folder.name}, epoch {at.epoch + 1}: {score:.4f} (best {at.best:.4f})")
    at.epoch, at.step = at.epoch + 1, 0
    if config.patience and at.worse >= config.patience and at.epoch < config.epochs:
        at.stopped = f"no better for {at.worse} validations"
    records.save(at)


def _timed(batches: Iterator[PairBatch]) -> Iterator[tuple[PairBatch, float]]:
    """Each batch and the seconds that were spent waiting for it."""
    asked = time.perf_counter()
    for batch in batches:
        yield batch, time.perf_counter() - asked
        asked = time.perf_counter()


def _seed(seed: int, steps: int, rank: int) -> None:
    """Make everything random in a step a function of these numbers."""
    state = np.random.SeedSequence([zlib.crc32(b"step"), seed, steps, rank]).generate_state(1)
    torch.manual_seed(int(state[0]))


def _agree(
    parts: Mapping[str, Tensor], asked: bool, world: DistributedContext
) -> tuple[dict[str, float], bool]:
    """The loss parts of the global batch, and whether any process was asked to stop."""
    own = torch.stack([part.detach() for part in parts.values()]).tolist()
    *means, stop = world.mean([*own, float(asked)])
    return dict(zip(parts, means, strict=True)), stop > 0


def _refuse_nan(values: Mapping[str, float], folder: StageFolder, at: TrainState) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            saved = folder.checkpoints()
            last = f"the last checkpoint is {saved[-1].name}" if saved else "there is no checkpoint"
            raise TrainingError(
                f"{folder.name}: the loss '{name}' is {value} at step {at.steps + 1} (epoch"
                f" {at.epoch + 1}); lower the stage's train.lr or set train.clip; {last}"
            )


def _validation_due(config: TrainConfig, epoch: int) -> bool:
    return (epoch + 1) % config.eval_every_epochs == 0 or epoch + 1 == config.epochs


def _score(task: Task, validate: Validate, world: DistributedContext) -> float:
    """The first process's validation score, known to all."""
    score = math.nan
    if world.main:
        task.eval()
        with torch.no_grad():
            score = float(validate(task))
    return world.share(score)


def _status(
    folder: StageFolder, config: TrainConfig, loader: Batches, at: TrainState, steps: int
) -> Status:
    left = (config.epochs - at.epoch) * steps - at.step
    return Status(
        stage=folder.name,
        epoch=at.epoch,
        epochs=config.epochs,
        step=at.step,
        steps=steps,
        parts=at.means,
        pairs_per_second=at.speed(loader.batch),
        seconds_left=left * at.seconds / at.steps,
        wait_fraction=at.wait_fraction,
        best=at.best,
    )
