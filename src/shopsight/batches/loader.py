"""Deterministic loader: batches are a function of (seed, epoch, step, rank), read ahead by threads.

The global batch of a step does not depend on the number of processes: each takes an equal,
contiguous slice of its rows. Training therefore resumes exactly, from any step and with any number
of processes.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch

from shopsight.batches.batch import PairBatch, as_regions
from shopsight.batches.batch_sampler import grouped_batches, shuffled_batches
from shopsight.batches.click_dataset import ClickedPairs
from shopsight.data.region_store import RegionBatch
from shopsight.errors import DataError, UsageError
from shopsight.negatives.sampler import Negatives, NegativeSampler
from shopsight.types import AnyArray, IntArray

Batch = TypeVar("Batch")


class RegionReader(Protocol):
    """Anything that reads the regions of products: the region store or a cache of trunk outputs."""

    def read(self, indices: IntArray) -> RegionBatch:
        """Read the regions of products (B,)."""
        ...


class EpochLoader(Generic[Batch]):
    """Base of the loaders, dataclasses with the fields below."""

    batch: int  # rows of a global batch
    seed: int
    rank: int  # of this process
    size: int  # number of processes
    workers: int  # threads that read ahead; 0 reads on demand
    _plans: dict[int, IntArray]

    def plan(self, epoch: int) -> IntArray:
        """(S, B) row indices of every global batch of an epoch."""
        if epoch not in self._plans:
            self._plans.clear()  # only the current epoch is read repeatedly
            self._plans[epoch] = self._plan(epoch)
        return self._plans[epoch]

    def steps(self, epoch: int) -> int:
        """Number of batches of an epoch."""
        return len(self.plan(epoch))

    def epoch(self, epoch: int, start: int = 0) -> Generator[Batch]:
        """Yield this process's slices of the batches of an epoch, from step ``start``."""
        steps = iter(range(start, self.steps(epoch)))
        if not self.workers:
            for step in steps:
                yield self.read(epoch, step)
            return
        pool = ThreadPoolExecutor(self.workers, "batches")
        ahead: deque[Future[Batch]] = deque()
        try:
            for step in steps:
                ahead.append(pool.submit(self.read, epoch, step))
                if len(ahead) > self.workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def read(self, epoch: int, step: int) -> Batch:
        """Read this process's slice of one batch."""
        raise NotImplementedError

    def _plan(self, epoch: int) -> IntArray:
        raise NotImplementedError

    def _limit_batch(self, queries: int) -> None:
        """Reduce the batch to the number of distinct queries; see the errors of `Loader`."""
        if queries < 2:
            raise DataError("training needs two different queries with words; the data has one")
        batch = min(self.batch, queries)
        if batch % self.size:
            what = f"the data's {queries} distinct queries" if batch < self.batch else "a batch"
            raise UsageError(
                f"{what} of {batch} cannot be divided equally among {self.size} processes;"
                f" set train.batch to a multiple of {self.size}"
            )
        object.__setattr__(self, "batch", batch)

    def _own_slice(self, rows: Any) -> Any:
        """This process's contiguous slice of B rows."""
        count = len(rows) // self.size
        return rows[self.rank * count : (self.rank + 1) * count]

    def _generator(self, purpose: str, *key: int) -> np.random.Generator:
        # crc32, because Python's hash() of a string differs between processes.
        return np.random.default_rng([zlib.crc32(purpose.encode()), self.seed, *key])


@dataclass(frozen=True, eq=False)
class Loader(EpochLoader[PairBatch]):
    """Batches of one stage.

    Args:
        batch: clicked pairs per global batch; fewer if there are fewer distinct queries.
        negatives: sampler of one negative query and product per pair; None for none.
        group_labels: (U,) group of each text, for batches of a single group.
        hard_fraction: fraction of such batches, from the epoch ``hard_from_epoch`` on.
        with_words: fill ``product_words``.
        workers: threads that read ahead; 0 reads on demand.

    Raises:
        UsageError: the batch is not divisible by the number of processes.
        DataError: there are fewer than two distinct queries.
    """

    pairs: ClickedPairs
    source: RegionReader
    batch: int
    seed: int
    negatives: NegativeSampler | None = None
    group_labels: AnyArray | None = None
    hard_fraction: float = 0.0
    hard_from_epoch: int = 0
    with_words: bool = False
    through_trunk: bool = False
    rank: int = 0
    size: int = 1
    workers: int = 1
    _plans: dict[int, IntArray] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Validate and reduce the batch size."""
        self._limit_batch(len(np.unique(self.pairs.texts)))

    def read(self, epoch: int, step: int) -> PairBatch:
        """Read this process's slice of one batch."""
        rows = self.plan(epoch)[step]
        negatives = None
        if self.negatives:
            # Negatives are drawn for the global batch, so that they do not depend on the slices.
            rng = self._generator("negatives", epoch, step)
            negatives = self.negatives.draw(
                self.pairs.queries[rows], self.pairs.products[rows], rng
            )
            negatives = Negatives(*map(self._own_slice, negatives))
        return self._make_batch(self._own_slice(rows), negatives)

    def _make_batch(self, rows: IntArray, negatives: Negatives | None) -> PairBatch:
        pairs = self.pairs
        products = pairs.products[rows]
        if negatives is not None:
            products = np.concatenate([products, negatives.products])
        distinct, inverse = np.unique(products, return_inverse=True)
        product_idx = torch.from_numpy(inverse.reshape(-1).astype(np.int64))
        batch = PairBatch(
            regions=as_regions(self.source.read(distinct), self.through_trunk),
            queries=pairs.tokens.block(pairs.texts[rows]),
            product_idx=product_idx[: len(rows)],
            query_keys=torch.from_numpy(pairs.texts[rows]),
            product_keys=torch.from_numpy(distinct),
            product_words=pairs.product_words.block(distinct) if self.with_words else None,
        )
        if negatives is None:
            return batch
        texts = pairs.groups.text[negatives.queries].astype(np.int64)
        return replace(
            batch,
            negative_queries=pairs.tokens.block(texts),
            negative_product_idx=product_idx[len(rows) :],
        )

    def _plan(self, epoch: int) -> IntArray:
        rng, texts = self._generator("order", epoch), self.pairs.texts
        if self.group_labels is None or not self.hard_fraction or epoch < self.hard_from_epoch:
            return shuffled_batches(texts, self.batch, rng)
        hard = grouped_batches(texts, self.group_labels, self.batch, rng)
        if self.hard_fraction >= 1:
            return hard
        mixed = shuffled_batches(texts, self.batch, rng)
        count = min(round(self.hard_fraction * len(mixed)), len(hard))
        return rng.permutation(np.concatenate([hard[:count], mixed[: len(mixed) - count]]))
