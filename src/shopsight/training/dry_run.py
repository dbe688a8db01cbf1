"""What a training will take: weights, steps, time and memory, from one real step of each stage."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from shopsight.batches.click_dataset import ClickedPairs
from shopsight.batches.loader import Loader, RegionSource
from shopsight.config import DualConfig, Recipe, SentenceMatchConfig, WordMatchConfig
from shopsight.data.dataset import PreparedData
from shopsight.data.region_store import RegionBatch
from shopsight.data.split_names import TRAIN
from shopsight.inference.run_folder import run_vocabulary
from shopsight.negatives.groups import ungrouped
from shopsight.training.factory import make_loader, make_task, stage_config, train_config
from shopsight.training.optim import make_optimizer
from shopsight.training.tasks.base import Task
from shopsight.types import IntArray

_STEPS, _SECONDS = 3, 10.0  # of rehearsal: so many steps, or so long
_NOTE = (
    "Times are those of training steps, from real steps on this machine; ranking the validation"
    " split, grouping queries and caching trunks come on top. Memory is the most that this process"
    " held until then."
)


@dataclass(frozen=True)
class StagePlan:
    """What one stage will take.

    Attributes:
        stage: its name.
        parameters: weights of its model.
        trained: weights that it changes.
        epochs: passes over the clicked pairs, all phases together.
        steps: batches of all epochs.
        pairs_per_second: clicked pairs, as measured; 0 for a finished stage.
        seconds: of all its steps; 0 for a finished stage.
        memory_mib: held during a step.
        finished: it was trained already.
    """

    stage: str
    parameters: int
    trained: int
    epochs: int
    steps: int
    pairs_per_second: float
    seconds: float
    memory_mib: float
    finished: bool


@dataclass(frozen=True)
class Plan:
    """What a training will take.

    Attributes:
        stages: one entry each, in their order.
        note: what the figures leave out.
    """

    stages: tuple[StagePlan, ...]
    note: str = _NOTE


def make_plan(
    data: PreparedData, recipe: Recipe, stages: Sequence[str], out: Path, device: torch.device
) -> Plan:
    """Rehearse a few steps of each stage on real rows, with random negatives.

    Args:
        data: the prepared folder.
        recipe: all settings.
        stages: which of them.
        out: the run folder, which may hold finished stages; nothing is written there.
        device: where steps run.
    """
    vocabulary = run_vocabulary(data, recipe)
    pairs = ClickedPairs.of(data, vocabulary, ungrouped(data.queries(TRAIN).texts))
    plans = []
    for stage in stages:
        task = make_task(stage, recipe, vocabulary, pairs, data.store).to(device)
        source = _source(stage, recipe, data)
        phases = _phases(recipe, stage)
        loaders = [make_loader(stage, recipe, pairs, source, phase=one) for one in phases]
        finished = (out / stage / "done.json").is_file()
        plans.append(_plan(stage, recipe, task, loaders, device, finished))
    return Plan(tuple(plans))


def _plan(
    stage: str,
    recipe: Recipe,
    task: Task,
    loaders: Sequence[Loader],
    device: torch.device,
    finished: bool,
) -> StagePlan:
    configs = [train_config(recipe, stage, p) for p in _phases(recipe, stage)]
    steps = [c.epochs * one.steps(0) for c, one in zip(configs, loaders, strict=True)]
    weights = list(task.model.parameters())
    second = 0.0 if finished else _seconds_a_step(task, recipe, stage, loaders[0], device)
    batch = loaders[0].batch
    rows = sum(n * one.batch for n, one in zip(steps, loaders, strict=True))
    return StagePlan(
        stage,
        sum(one.numel() for one in weights),
        sum(one.numel() for one in weights if one.requires_grad),
        sum(c.epochs for c in configs),
        sum(steps),
        batch / second if second else 0.0,
        rows / batch * second,
        _memory_mib(device),
        finished,
    )


def _seconds_a_step(
    task: Task, recipe: Recipe, stage: str, loader: Loader, device: torch.device
) -> float:
    """The quickest of a few real steps, which is the least disturbed."""
    config = train_config(recipe, stage)
    optimizer = make_optimizer(task.parameter_groups(config), config)
    task.train()
    taken: list[float] = []
    while len(taken) < _STEPS and sum(taken) < _SECONDS:
        batch = loader.read(0, len(taken) % loader.steps(0)).to(device)
        started = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            loss = torch.stack(list(task.losses(batch).values())).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - started)
    return min(taken)


def _phases(recipe: Recipe, stage: str) -> tuple[int, ...]:
    config = stage_config(recipe, stage)
    return (1, 2) if isinstance(config, DualConfig) and config.phase2_epochs else (1,)


class _AsIfCached:
    """The store, said to hold what a trunk gave, whose numbers are as many."""

    through_trunk = True

    def __init__(self, source: Any) -> None:
        self._source = source

    def read(self, indices: IntArray) -> RegionBatch:
        found: RegionBatch = self._source.read(indices)
        return found


def _source(stage: str, recipe: Recipe, data: PreparedData) -> RegionSource:
    config = stage_config(recipe, stage)
    if isinstance(config, WordMatchConfig | SentenceMatchConfig) and config.cache_trunk:
        return _AsIfCached(data.store)
    return data.store


def _memory_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
