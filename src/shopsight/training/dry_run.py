"""Estimate weights, steps, time and memory of a training from a few real steps of each stage."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from shopsight.batches.candidates import ScoredCandidates
from shopsight.batches.click_dataset import ClickedPairs
from shopsight.batches.loader import EpochLoader
from shopsight.config import CandidatesConfig, Recipe, TrainConfig
from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import TRAIN
from shopsight.inference.run_folder import run_vocabulary
from shopsight.negatives.groups import ungrouped
from shopsight.training.distributed import DistributedContext
from shopsight.training.factory import make_loader, make_task
from shopsight.training.optim import make_optimizer
from shopsight.training.tasks.base import Task

_STEPS, _SECONDS = 3, 10.0  # limits of a rehearsal
_NOTE = (
    "Times are those of training steps, measured on this machine; ranking the validation split,"
    " grouping queries and caching trunks come on top. Memory is the peak of this process so far."
)


@dataclass(frozen=True)
class StagePlan:
    """Estimate of one stage, all phases together; without speed and time if it is finished.

    ``parameters`` are the weights of its model, ``trained`` those that it changes.
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
    """Estimates of all stages, and a note on their limits."""

    stages: tuple[StagePlan, ...]
    note: str = _NOTE


def make_plan(
    data: PreparedData, recipe: Recipe, stages: Sequence[str], out: Path, device: torch.device
) -> Plan:
    """Rehearse a few steps of each stage on real rows with random negatives; write nothing.

    Stages that are finished in the run folder ``out`` are not rehearsed.
    """
    vocabulary = run_vocabulary(data, recipe)
    pairs = ClickedPairs.of(data, vocabulary, ungrouped(data.queries(TRAIN).texts))
    context = DistributedContext(device=device)
    plans = []
    for stage in stages:
        task = make_task(stage, recipe, vocabulary, pairs, data.store, context=context)
        config = recipe.model(stage)
        # The rows of a trunk cache have the size of the store's, which replaces it here.
        source = SimpleNamespace(read=data.store.read, through_trunk=config.cache_trunk)
        learned = pairs if config.candidates is None else _unscored(pairs, config.candidates)
        loaders = [
            make_loader(task, stage, recipe, learned, source, context, number)
            for number in range(1, len(config.phases) + 1)
        ]
        finished = (out / stage / "done.json").is_file()
        plans.append(_plan(stage, task, config.phases, loaders, finished))
    return Plan(tuple(plans))


def _plan(
    stage: str,
    task: Task,
    phases: Sequence[TrainConfig],
    loaders: Sequence[EpochLoader[Any]],
    finished: bool,
) -> StagePlan:
    steps = [phase.epochs * loader.steps(0) for phase, loader in zip(phases, loaders, strict=True)]
    pairs = sum(count * loader.batch for count, loader in zip(steps, loaders, strict=True))
    weights, batch = list(task.model.parameters()), loaders[0].batch
    step_seconds = 0.0 if finished else _step_seconds(task, phases[0], loaders[0])
    return StagePlan(
        stage,
        sum(weight.numel() for weight in weights),
        sum(weight.numel() for weight in weights if weight.requires_grad),
        sum(phase.epochs for phase in phases),
        sum(steps),
        batch / step_seconds if step_seconds else 0.0,
        pairs / batch * step_seconds,
        _memory_mib(task.context.device),
        finished,
    )


def _step_seconds(task: Task, config: TrainConfig, loader: EpochLoader[Any]) -> float:
    """Seconds of the fastest of a few steps, the one least disturbed by other work."""
    optimizer = make_optimizer(task.parameter_groups(config), config)
    device, times = task.context.device, list[float]()
    task.train()
    while len(times) < _STEPS and sum(times) < _SECONDS:
        batch = loader.read(0, len(times) % loader.steps(0)).to(device)
        started = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            loss = torch.stack(list(task.losses(batch).values())).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        # CUDA kernels run asynchronously: without this only their launch would be timed.
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times)


def _unscored(pairs: ClickedPairs, config: CandidatesConfig) -> ScoredCandidates:
    """Random candidates, as many as the teacher scores of each query."""
    texts = np.unique(pairs.texts)
    texts = np.resize(texts, round((1 + config.made) * len(texts)))
    rng = np.random.default_rng(0)
    products = rng.choice(np.unique(pairs.products), (len(texts), config.count))
    scores = rng.standard_normal(products.shape).astype(np.float32)
    return ScoredCandidates(
        pairs.tokens.take(texts), products, scores > 1, scores, pairs.product_words
    )


def _memory_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024  # macOS reports bytes, Linux kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
