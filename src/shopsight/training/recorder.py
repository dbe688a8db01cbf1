"""Checkpoints, metrics log and best weights of a stage.

Only the first process writes; every process reads when training resumes.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from torch import nn
from torch.optim import Optimizer

from shopsight.config import TrainConfig
from shopsight.errors import ShopsightError
from shopsight.inference.run_folder import StageFolder
from shopsight.training.distributed import DistributedContext
from shopsight.training.state import StageResult, TrainState
from shopsight.weights import load_checkpoint, load_weights, save_checkpoint, save_weights

_LINES_PER_EPOCH = 50


class TrainingError(ShopsightError):
    """A failed training: a non-finite loss, or processes that disagree."""


class Recorder:
    """Writer and reader of the files of a stage."""

    def __init__(
        self,
        folder: StageFolder,
        model: nn.Module,
        optimizer: Optimizer,
        config: TrainConfig,
        context: DistributedContext,
    ) -> None:
        self._folder, self._model, self._optimizer = folder, model, optimizer
        self._config, self._context = config, context

    def resume(self) -> TrainState:
        """Restore the newest checkpoint in every process; a new state if there is none.

        Raises:
            DataError: the checkpoint is damaged or of another model.
            TrainingError: the processes do not see the same folder.
        """
        context = self._context
        if context.main:
            self._folder.begin()
        context.barrier()
        state, checkpoints = TrainState(), self._folder.checkpoints()
        if checkpoints:
            state = TrainState(**load_checkpoint(checkpoints[-1], self._model, self._optimizer))
        mean = context.mean([state.steps])[0]
        if round(mean) != state.steps or context.broadcast(state.steps) != state.steps:
            raise TrainingError(f"{self._folder.path}: every process must see the same folder")
        # Steps after the checkpoint are run again, so their metrics are logged again.
        if context.main:
            self._folder.log.truncate(state.logged)
        return state

    def log_step(self, state: TrainState, steps: int, lr: float, batch: int) -> None:
        """Log the losses about 50 times in an epoch of `steps` steps."""
        if state.step % max(steps // _LINES_PER_EPOCH, 1) and state.step != steps:
            return
        parts = state.means
        loss = sum(parts.values())
        speed = round(state.speed(batch), 2)
        self._log(state, "train", loss=loss, parts=parts, lr=lr, pairs_per_second=speed)
        state.sums, state.summed = {}, 0

    def score(self, state: TrainState, score: float) -> None:
        """Record a validation score, and the weights if it is the best so far."""
        epoch = state.epoch + (state.step > 0)
        best = state.record_score(score, epoch)
        if best and self._context.main:
            save_weights(self._folder.best, self._model, {"score": score, "epoch": epoch})
        self._log(state, "valid", score=score, best=best)

    def save(self, state: TrainState) -> None:
        """Write a checkpoint and delete all but the newest ones."""
        if self._context.main:
            path = self._folder.checkpoint(state.steps)
            save_checkpoint(path, self._model, self._optimizer, asdict(state))
            self._folder.keep_last(self._config.keep)

    def finish(self, state: TrainState, batch: int) -> StageResult:
        """Write ``done.json`` and load the best weights into the model."""
        result = StageResult(
            stage=self._folder.name,
            epochs=state.epoch,
            steps=state.steps,
            best=state.best,
            best_epoch=state.best_epoch if state.best is not None else state.epoch,
            seconds=state.seconds,
            wait_fraction=state.wait_fraction,
            pairs_per_second=state.speed(batch),
            stopped=state.stopped or "all epochs",
        )
        if self._context.main:
            if state.best is None:  # no validation: the last weights count as the best
                save_weights(self._folder.best, self._model, {"epoch": state.epoch})
            self._folder.finish(asdict(result))
        self._context.barrier()
        load_weights(self._folder.best, self._model)
        return result

    def _log(self, state: TrainState, kind: str, **values: Any) -> None:
        if self._context.main:
            epoch = state.epoch + (state.step > 0)
            self._folder.log.append({"kind": kind, "epoch": epoch, "step": state.steps, **values})
            state.logged = self._folder.log.size()
