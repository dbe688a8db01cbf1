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
    product_words: TokenLists  # of all products

    def __len__(self) -> int:
        return len(self.products)


@dataclass(frozen=True, eq=False)
class CandidateLoader(EpochLoader[CandidateBatch]):
    """Batches of queries in random order; queries that fill no batch wait for the next epoch.

    Of each query, ``sample`` candidates are drawn, clicked ones first; 0 takes all.

    Raises:
        UsageError: the batch is not divisible by the number of processes.
        DataError: there are fewer than two queries.
    """

    candidates: ScoredCandidates
    source: RegionReader
    batch: int
    seed: int
    sample: int = 0
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
        table, rows = self.candidates, self.plan(epoch)[step]
        columns = self._own_slice(self._columns(rows, epoch, step))
        rows = self._own_slice(rows)[:, None]
        products = table.products[rows, columns]
        real = products >= 0
        distinct, inverse = np.unique(products[real], return_inverse=True)
        candidate_idx = np.zeros(products.shape, np.int64)
        candidate_idx[real] = inverse.reshape(-1)
        return CandidateBatch(
            as_regions(self.source.read(distinct), self.through_trunk),
            table.tokens.block(rows[:, 0]),
            torch.from_numpy(candidate_idx),
            torch.from_numpy(real),
            torch.from_numpy(table.clicked[rows, columns]),
            torch.from_numpy(table.teacher[rows, columns]),
            table.product_words.block(distinct),
        )

    def _columns(self, rows: IntArray, epoch: int, step: int) -> IntArray:
        """(B, n) the candidates of the queries (B,) that a global batch takes."""
        table = self.candidates
        if not self.sample:
            return np.tile(np.arange(table.products.shape[1]), (len(rows), 1))
        order = self._generator("candidates", epoch, step).random(
            (len(rows), table.products.shape[1])
        )
        order = order - table.clicked[rows] + 2 * (table.products[rows] < 0)
        return np.argsort(order, axis=1, kind="stable")[:, : self.sample]

    def _plan(self, epoch: int) -> IntArray:
        order = self._generator("order", epoch).permutation(len(self.candidates))
        steps = len(order) // self.batch
        return order[: steps * self.batch].reshape(steps, self.batch)
