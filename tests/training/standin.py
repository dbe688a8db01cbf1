"""A small world in memory and a small task, to try the loop on without any real model."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from shopsight.batches.click_dataset import ClickedPairs, TokenLists
from shopsight.batches.loader import Loader
from shopsight.config import NegativesConfig, TrainConfig
from shopsight.data.region_store import RegionBatch
from shopsight.inference.run_folder import StageFolder
from shopsight.negatives.groups import QueryGroups
from shopsight.training.distributed import DistributedContext, gather_rows
from shopsight.training.loop import Phase, fit
from shopsight.training.tasks.base import Task

torch.set_num_threads(1)  # tiny tensors, and other processes on the same cores
WIDTH, WORDS = 6, 12
COLOURS = ("red", "blue", "green", "black")
NOUNS = ("dress", "table", "lamp")
TEXTS = [f"{colour} {noun}" for colour in COLOURS for noun in NOUNS]


class MemoryStore:
    """Products with one to four regions of random features."""

    def __init__(self, products: int) -> None:
        rng = np.random.default_rng(0)
        self.lengths = rng.integers(1, 5, products)
        self.features = [rng.random((n, WIDTH), np.float32) for n in self.lengths]

    def read(self, indices: Sequence[int]) -> RegionBatch:
        chosen = [self.features[i] for i in indices]
        count = sum(map(len, chosen))
        return RegionBatch(
            np.concatenate(chosen),
            np.zeros((count, 5), np.float32),
            np.zeros(count, np.int16),
            self.lengths[np.asarray(indices)],
        )


def make_pairs(rows: int = 60, products: int = 20) -> ClickedPairs:
    rng = np.random.default_rng(1)
    own = np.arange(len(TEXTS), dtype=np.int32)
    groups = QueryGroups(own, own, own % 3, own % 2, np.full((len(TEXTS), 1), -1, np.int32), {})
    texts = rng.integers(0, len(TEXTS), rows)
    tokens = TokenLists.of([[1 + i // 3, 5 + i % 3] for i in range(len(TEXTS))], pad=0)
    return ClickedPairs(texts, texts, rng.integers(0, products, rows), tokens, groups)


def make_loader(context: DistributedContext | None = None, batch: int = 4, **options) -> Loader:
    context, pairs = context or DistributedContext(), make_pairs()
    options.setdefault("negatives", pairs.sampler("cluster", NegativesConfig()))
    return Loader(
        pairs, MemoryStore(20), batch, seed=3, rank=context.rank, size=context.size, **options
    )


class StandIn(Task):
    """Bags of words against means of regions, with dropout and a loss over the whole batch."""

    def __init__(self, context: DistributedContext | None = None, dropout: float = 0.2) -> None:
        torch.manual_seed(0)
        words, image = nn.Embedding(WORDS, 8, padding_idx=0), nn.Linear(WIDTH, 8)
        model = nn.ModuleDict({"words": words, "image": image, "unused": nn.Linear(1, 1)})
        super().__init__(model, None, context)
        self.dropout = nn.Dropout(dropout)
        self.poison_at: int | None = None
        self.kill_at: int | None = None
        self.calls = 0

    def losses(self, batch):
        self.calls += 1
        if self.calls == self.kill_at:
            os.kill(os.getpid(), signal.SIGINT)
        words = self.model["words"](batch.queries.ids).sum(1)
        dtype = self.model["image"].weight.dtype
        mean = batch.regions.packing.mean(self.model["image"](batch.regions.features.to(dtype)))
        products = self.dropout(mean)
        scores = gather_rows(
            words @ gather_rows(products[batch.product_idx], self.context).T, self.context
        )
        own = (words * products[batch.negative_product_idx]).sum(1)
        scale = float("nan") if self.calls == self.poison_at else 1.0
        rows = torch.arange(len(scores))
        return {
            "softmax": nn.functional.cross_entropy(scores, rows),
            "push": nn.functional.softplus(own).mean() * scale,
        }

    def parameter_groups(self, config):
        parts = [[*self.model["words"].parameters()], [*self.model["image"].parameters()]]
        groups = [{"params": part, "lr": config.lr} for part in parts]
        return [*groups, {"params": [*self.model["unused"].parameters()], "lr": 1.0}]


CONFIG = TrainConfig(epochs=3, batch=4, lr=0.01, checkpoint_steps=4, clip=1.0, workers=1)


def train(folder: Path, config: TrainConfig = CONFIG, task: StandIn | None = None, **options):
    task = task or StandIn()
    loader = options.pop("loader", None) or make_loader(batch=config.batch)
    stage = StageFolder(folder, "stand-in")
    return fit(Phase(task, loader, config, stage, seed=5, **options)), task


def lines(folder: Path) -> list[dict]:
    """The metrics without what depends on the clock."""
    records = StageFolder(folder, "stand-in").metrics()
    return [{k: v for k, v in line.items() if k != "pairs_per_second"} for line in records]


def weights(task: Task) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in task.model.parameters()])
