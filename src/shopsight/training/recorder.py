"""What a stage writes while it is trained: checkpoints, the best weights, metrics, the end.

Only the first process writes; every process reads when training goes on.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import Optimizer

from shopsight.config import TrainConfig
from shopsight.errors import ShopsightError
from shopsight.inference.run_folder import StageFolder
from shopsight.inference.weights import (
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)
from shopsight.training.distributed import DistributedContext
from shopsight.training.state import StageResult, TrainState

_LINES_PER_EPOCH = 50


class TrainingError(ShopsightError):
    """Training cannot go on: a loss is no number any more, or the processes disagree."""


class Recorder:
    """The files of one stage, as its training writes them.

    Args:
        folder: the stage's folder.
        model: whose weights are kept.
        optimizer: whose moments are kept.
        config: how many checkpoints are kept, and how often one is written.
        world: the processes that train together.
    """

    def __init__(
        self,
        folder: StageFolder,
        model: nn.Module,
        optimizer: Optimizer,
        config: TrainConfig,
        world: DistributedContext,
    ) -> None:
        self._folder, self._model, self._optimizer = folder, model, optimizer
        self._config, self._world = config, world

    def resume(self) -> TrainState:
        """Go back to the newest checkpoint, on every process; a new standing if there is none.

        Raises:
            DataError: the checkpoint is damaged or of another model.
            TrainingError: the processes do not see the same folder.
        """
        if self._world.main:
            self._folder.begin()
        self._world.barrier()
        at, found = TrainState(), self._folder.checkpoints()
        if found:
            at = TrainState(**load_checkpoint(found[-1], self._model, self._optimizer))
        mean = self._world.mean([at.steps])[0]
        if round(mean) != at.steps or self._world.share(at.steps) != at.steps:
            raise TrainingError(f"{self._folder.path}: every process must see the same folder")
        if self._world.main:
            self._folder.log.cut(at.logged)
        return at

    def log_step(self, at: TrainState, steps: int, rate: float, batch: int) -> None:
        """Write a line of metrics about 50 times an epoch of so many steps."""
        if at.step % max(steps // _LINES_PER_EPOCH, 1) and at.step != steps:
            return
        parts = at.means
        loss = sum(parts.values())
        speed = round(at.speed(batch), 2)
        self._log(at, "train", loss=loss, parts=parts, lr=rate, pairs_per_second=speed)
        at.forget_sums()

    def checkpoint_due(self, at: TrainState) -> bool:
        """Whether a checkpoint is written in the middle of the epoch, after this step."""
        every = self._config.checkpoint_steps
        return bool(every) and at.steps % every == 0

    def score(self, at: TrainState, score: float) -> None:
        """Count a validation score, and keep the weights if it is the best."""
        epoch = at.epoch + (at.step > 0)
        best = at.judge(score, epoch)
        if best and self._world.main:
            save_weights(self._folder.best, self._model, {"score": score, "epoch": epoch})
        self._log(at, "valid", score=score, best=best)

    def save(self, at: TrainState) -> None:
        """Write a checkpoint, and remove those beyond the last few."""
        if self._world.main:
            path = self._folder.checkpoint(at.steps)
            save_checkpoint(path, self._model, self._optimizer, at.as_json())
            self._folder.keep_last(self._config.keep)

    def finish(self, at: TrainState, batch: int) -> StageResult:
        """Write ``done.json`` and put the best weights into the model."""
        outcome = StageResult(
            stage=self._folder.name,
            epochs=at.epoch,
            steps=at.steps,
            best=at.best,
            best_epoch=at.best_epoch if at.best is not None else at.epoch,
            seconds=at.seconds,
            wait_fraction=at.wait_fraction,
            pairs_per_second=at.speed(batch),
            stopped=at.stopped or "all epochs",
        )
        if self._world.main:
            if at.best is None:  # no validation: the last weights are the best
                save_weights(self._folder.best, self._model, {"epoch": at.epoch})
            self._folder.finish(outcome.as_json())
        self._world.barrier()
        load_weights(self._folder.best, self._model)
        return outcome

    def _log(self, at: TrainState, kind: str, **values: Any) -> None:
        if self._world.main:
            epoch = at.epoch + (at.step > 0)
            self._folder.log.append({"kind": kind, "epoch": epoch, "step": at.steps, **values})
            at.logged = self._folder.log.size()
