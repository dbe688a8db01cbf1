"""The training loop, top to bottom.

It resumes exactly, in the middle of an epoch too: a step depends on nothing but the weights, the
moments and the `TrainState`. Its batch and random numbers follow from seed, step and process.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shopsight.batches.loader import EpochLoader
from shopsight.config import TrainConfig
from shopsight.inference.run_folder import StageFolder
from shopsight.training.callbacks import Callback, Status
from shopsight.training.distributed import DistributedContext, average_gradients, broadcast_weights
from shopsight.training.optim import lr_factor, make_optimizer, set_lr
from shopsight.training.recorder import Recorder, TrainingError
from shopsight.training.signals import Interrupts
from shopsight.training.state import StageResult, TrainState
from shopsight.training.tasks.base import Task
from shopsight.weights import load_weights


@dataclass(frozen=True, eq=False)
class Phase:
    """Everything that one phase of a stage is trained with.

    Args:
        seed: of dropout.
        validate: scores the task, higher is better; called in the first process only, in
            evaluation mode. Without it the last weights count as the best.
        validate_first: score the initial weights too, as epoch 0.
    """

    task: Task
    loader: EpochLoader[Any]
    config: TrainConfig
    folder: StageFolder
    seed: int = 0
    validate: Callable[[Task], float] | None = None
    validate_first: bool = False
    callback: Callback = field(default_factory=Callback)
    context: DistributedContext = field(default_factory=DistributedContext)


def fit(phase: Phase) -> StageResult:
    """Train a phase, or resume it; the task ends with the best weights.

    Raises:
        TrainingError: a loss is not finite.
        OutputError: a file cannot be written, or a weight is not finite.
        DataError: a file in the folder is damaged, or of another model.
        KeyboardInterrupt: Ctrl-C; a checkpoint after the last step was written before.
    """
    task, loader, config, context = phase.task, phase.loader, phase.config, phase.context
    if finished := phase.folder.done():
        load_weights(phase.folder.best, task.model)
        return StageResult(**finished)

    optimizer = make_optimizer(task.parameter_groups(config), config)
    recorder = Recorder(phase.folder, task.model, optimizer, config, context)
    # Broadcast before the checkpoint is read: that one every process reads for itself.
    broadcast_weights(task.model, context)
    state = recorder.resume()

    with Interrupts() as interrupts:
        try:
            first = phase.validate_first and state.best is None and state.steps == 0
            if first and phase.validate:
                recorder.score(state, _score(phase))
            while state.epoch < config.epochs and not state.stopped:
                steps = loader.steps(state.epoch)
                stop = False
                # Between the optimizer step and the saved state an interrupt would lose a step.
                with (
                    interrupts.deferred(),
                    closing(loader.epoch(state.epoch, state.step)) as batches,
                ):
                    for batch, waited in _timed(batches):
                        began = time.perf_counter()
                        factor = lr_factor(config, state.epoch, state.step / steps, state.steps)
                        set_lr(optimizer, factor)
                        _seed_step(phase.seed, state.steps, context.rank)
                        parts = _forward(phase, batch)
                        means, stop = _reduce(parts, interrupts.requested, context)
                        _check_finite(means, phase.folder, state)
                        _backward(phase, parts)
                        optimizer.step()
                        state.add(means, waited + time.perf_counter() - began, waited)
                        phase.callback.step(_status(phase, state, steps))
                        recorder.log_step(state, steps, config.lr * factor, loader.batch)
                        every = config.checkpoint_steps
                        if every and state.steps % every == 0:
                            recorder.save(state)
                        if stop:
                            break
                if stop:
                    raise KeyboardInterrupt
                _end_epoch(phase, state, recorder, interrupts)
        except KeyboardInterrupt:
            # A step that was torn apart cannot be resumed; the checkpoint before it can.
            if not interrupts.interrupted_mid_step:
                with interrupts.deferred():
                    recorder.save(state)
            raise
    return recorder.finish(state, loader.batch)


def _forward(phase: Phase, batch: Any) -> dict[str, Tensor]:
    """The parts of the loss."""
    phase.task.train()
    device, lower = phase.context.device, phase.config.precision == "bf16"
    # bf16 has the range of float32, so unlike float16 it needs no loss scaling.
    with torch.autocast(device.type, torch.bfloat16, enabled=lower):
        return phase.task.losses(batch.to(device))


def _backward(phase: Phase, parts: Mapping[str, Tensor]) -> None:
    """Compute the gradient of the global batch in every process."""
    phase.task.zero_grad(set_to_none=True)
    torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
    average_gradients(phase.task.parameters(), phase.context)
    # Clipped after averaging, so that every process scales by the same norm.
    if phase.config.clip:
        nn.utils.clip_grad_norm_(phase.task.parameters(), phase.config.clip)


def _end_epoch(phase: Phase, state: TrainState, recorder: Recorder, interrupts: Interrupts) -> None:
    config, epoch = phase.config, state.epoch + 1
    due = epoch == config.epochs or epoch % config.eval_every_epochs == 0
    score = _score(phase) if phase.validate and due else None
    # The score and the end of the epoch are recorded together, or the epoch is validated again.
    with interrupts.deferred():
        if score is not None:
            recorder.score(state, score)
            phase.callback.note(
                f"{phase.folder.name}, epoch {epoch}: {score:.4f} (best {state.best:.4f})"
            )
        state.epoch, state.step = epoch, 0
        if config.patience and state.worse >= config.patience and epoch < config.epochs:
            state.stopped = f"no better for {state.worse} validations"
        recorder.save(state)


def _timed(batches: Iterator[Any]) -> Iterator[tuple[Any, float]]:
    """Each batch and the seconds that were spent waiting for it."""
    started = time.perf_counter()
    for batch in batches:
        yield batch, time.perf_counter() - started
        started = time.perf_counter()


def _seed_step(seed: int, steps: int, rank: int) -> None:
    """Make everything random in a step a function of these numbers."""
    state = np.random.SeedSequence([zlib.crc32(b"step"), seed, steps, rank]).generate_state(1)
    torch.manual_seed(int(state[0]))


def _reduce(
    parts: Mapping[str, Tensor], stop_requested: bool, context: DistributedContext
) -> tuple[dict[str, float], bool]:
    """The loss parts of the global batch, and whether any process is to stop.

    Both in one message: all processes must stop after the same step.
    """
    local = torch.stack([part.detach() for part in parts.values()]).tolist()
    *means, stop = context.mean([*local, float(stop_requested)])
    return dict(zip(parts, means, strict=True)), stop > 0


def _check_finite(means: Mapping[str, float], folder: StageFolder, state: TrainState) -> None:
    for name, value in means.items():
        if not math.isfinite(value):
            saved = folder.checkpoints()
            last = f"the last checkpoint is {saved[-1].name}" if saved else "there is no checkpoint"
            raise TrainingError(
                f"{folder.name}: the loss '{name}' is {value} at step {state.steps + 1} (epoch"
                f" {state.epoch + 1}); lower the stage's train.lr or set train.clip; {last}"
            )


def _score(phase: Phase) -> float:
    """The validation score of the first process, in every process."""
    score = math.nan
    if phase.context.main and phase.validate:
        phase.task.eval()
        with torch.no_grad():
            score = float(phase.validate(phase.task))
    return phase.context.broadcast(score)


def _status(phase: Phase, state: TrainState, steps: int) -> Status:
    left = (phase.config.epochs - state.epoch) * steps - state.step
    return Status(
        stage=phase.folder.name,
        epoch=state.epoch,
        epochs=phase.config.epochs,
        step=state.step,
        steps=steps,
        parts=state.means,
        pairs_per_second=state.speed(phase.loader.batch),
        seconds_left=left * state.seconds / state.steps,
        wait_fraction=state.wait_fraction,
        best=state.best,
    )
