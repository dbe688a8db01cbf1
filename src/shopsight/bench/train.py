"""``shopsight bench train``: training steps, beside the unoptimised reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from shopsight.batches.batch import PairBatch
from shopsight.batches.loader import Loader
from shopsight.bench import reference_models
from shopsight.bench.fixtures import BenchData
from shopsight.bench.measure import timed
from shopsight.bench.pace import Pace, pace_parser, run_paces
from shopsight.config import LabelMatchConfig, NegativesConfig, TrainConfig, WordMatchConfig
from shopsight.inference.trunk_cache import TrunkCache
from shopsight.models.registry import PRETRAINING, model_specs
from shopsight.training.distributed import DistributedContext
from shopsight.training.optim import make_optimizer
from shopsight.training.tasks.base import Task

Loss = Callable[[PairBatch], Tensor]  # (n,) parts of the loss


def run(argv: list[str]) -> None:
    """Run ``shopsight bench train``."""
    parser = pace_parser(
        "train",
        "Training steps (forward, backward, optimizer) on the same batches: an unoptimised"
        " reference (padded, unsplit, each photo encoded for each use, all words as labels) and"
        " ours.",
    )
    parser.add_argument("--batch", type=int, default=64, help="clicked pairs per batch")
    parser.add_argument("--steps", type=int, default=4, help="timed steps of ours")
    run_paces(_measure, parser.read(argv), products=600, queries=1200)


def _measure(data: BenchData, args: Any, matrix_rate: float) -> Iterator[Pace]:
    hardest, margin = LabelMatchConfig.hardest_negatives, WordMatchConfig.margin
    references: tuple[Callable[[Any, PairBatch], Tensor], ...] = (
        partial(reference_models.label_match_loss, hardest=hardest),
        partial(reference_models.word_match_loss, margin=margin),
        reference_models.sentence_match_loss,
    )
    specs = [spec for spec in model_specs() if spec.uses_trunk]
    unknown = torch.tensor([data.vocabulary.unk])
    for spec, model, reference in zip(specs, data.models(), references, strict=True):
        task = spec.task_class(model, spec.config(), DistributedContext(), unknown)
        yield _pace(spec.name, task, partial(reference, model), data, args, matrix_rate)


def _pace(
    name: str, task: Task, reference: Loss, data: BenchData, args: Any, matrix_rate: float
) -> Pace:
    device = torch.device(args.device)
    task.to(device)
    pairs, pretraining = data.pairs(), name == PRETRAINING
    negatives = None if pretraining else pairs.sampler("random", NegativesConfig())
    loader = Loader(pairs, data.store, args.batch, args.seed, negatives)
    config = TrainConfig(precision=args.precision)
    optimizer = make_optimizer(task.parameter_groups(config), config)
    slow = _step_seconds(loader.read(0, 0), reference, optimizer, device, "float32")
    if not pretraining:  # the others have a frozen trunk, whose output is cached
        encoder, store = task.model.encoder.eval(), data.store
        cache = TrunkCache.build(store.folder, store, encoder.through_trunk, name, device)
        encoder.train()
        loader = replace(loader, source=cache, through_trunk=True)

    def loss(batch: PairBatch) -> Tensor:
        return torch.stack(list(task.losses(batch).values()))

    flops = FlopCounterMode(display=False)
    with flops:  # this step is also the warm-up
        _step_seconds(loader.read(0, 0), loss, optimizer, device, args.precision)
    computing = waiting = 0.0
    with closing(loader.epoch(0)) as batches:
        for _ in range(args.steps):
            batch, seconds = timed(lambda: next(batches))
            waiting += seconds
            computing += _step_seconds(batch, loss, optimizer, device, args.precision)
    quick = (computing + waiting) / args.steps
    return Pace(
        name,
        args.batch / slow,
        args.batch / quick,
        slow / quick,
        flops.get_total_flops() / quick / matrix_rate,
        waiting / (computing + waiting),
    )


def _step_seconds(
    batch: PairBatch, loss: Loss, optimizer: Any, device: torch.device, precision: str
) -> float:
    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            value = loss(batch.to(device)).sum()
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return timed(step, device.type)[1]
