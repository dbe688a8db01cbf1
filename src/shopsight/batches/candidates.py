"""Candidates of training queries with the scores of a teacher, and their batches."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from shopsight.batches.batch import CandidateBatch, as_regions
from shopsight.batches.click_dataset import TokenLists
from shopsight.batches.loader import EpochLoader, RegionReader
from shopsight.types import BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class ScoredCandidates:
    """C candidates of each of Q queries."""

    tokens: TokenLists  # of the queries
    products: IntArray  # (Q, C) catalogue index; -1 is padding
    clicked: BoolArray  # (Q, C)
    teacher: NDArray[np.float32]  # (Q, C) z-scores

    def __len__(self) -> int:
        return len(self.products)


@dataclass(frozen=True, eq=False)
class CandidateLoader(EpochLoader[CandidateBatch]):
    """Batches of queries in random order; queries that fill no batch wait for the next epoch.

    Raises:
        UsageError: the batch is not divisible by the number of processes.
        DataError: there are fewer than two queries.
    """

    candidates: ScoredCandidates
    source: RegionReader
    batch: int
    seed: int
    through_trunk: bool = False
    rank: int = 0
    size: int = 1
    workers: int = 1
    _plans: dict[int, IntArray] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Validate and reduce the batch size."""
        self._limit_batch(len(self.candidates))

    def read(self, epoch: int, step: int) -> CandidateBatch:
        """Read this process's slice of one batch."""
        rows, table = self._own_slice(self.plan(epoch)[step]), self.candidates
        products = table.products[rows]
        real = products >= 0
        distinct, inverse = np.unique(products[real], return_inverse=True)
        candidate_idx = np.zeros(products.shape, np.int64)
        candidate_idx[real] = inverse.reshape(-1)
        return CandidateBatch(
            as_regions(self.source.read(distinct), self.through_trunk),
            table.tokens.block(rows),
            torch.from_numpy(candidate_idx),
            torch.from_numpy(real),
            torch.from_numpy(table.clicked[rows]),
            torch.from_numpy(table.teacher[rows]),
        )

    def _plan(self, epoch: int) -> IntArray:
        order = self._generator("order", epoch).permutation(len(self.candidates))
        steps = len(order) // self.batch
        return order[: steps * self.batch].reshape(steps, self.batch)
