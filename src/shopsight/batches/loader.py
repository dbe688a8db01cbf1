"""Batches as a pure function of seed, epoch, step and process, read ahead by threads.

The global batch of a step does not depend on how many processes there are: each takes an equal,
contiguous slice of its rows. So training goes on exactly, from any step, with any number of them.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from shopsight.batches.batch import PairBatch, Tokens, as_regions
from shopsight.batches.batch_sampler import grouped_batches, shuffled_batches
from shopsight.batches.click_dataset import ClickedPairs
from shopsight.data.region_store import RegionBatch
from shopsight.errors import DataError, UsageError
from shopsight.negatives.sampler import NegativeSampler
from shopsight.types import AnyArray, IntArray


class RegionSource(Protocol):
    """Where the regions of products are read: the region store, or a cache of trunk outputs."""

    def read(self, indices: IntArray) -> RegionBatch:
        """The regions of products (B,)."""


@dataclass(frozen=True, eq=False)
class Loader:
    """Reads the batches of one stage.

    Args:
        pairs: the clicked pairs.
        source: where regions are read.
        batch: clicked pairs in a batch, over all processes together.
        seed: of the order and of negatives.
        negatives: draws a negative query and product for each pair; None for none.
        group_labels: (U,) group of each text, for batches of like queries.
        hard_fraction: share of the batches that hold like queries only.
        hard_from_epoch: epochs before such batches come.
        with_words: fill ``product_words``.
        through_trunk: the source holds trunk outputs.
        rank: number of this process.
        size: how many processes there are.
        workers: threads that read ahead; 0 reads when asked.

    Raises:
        UsageError: the batch cannot be shared equally.
        DataError: there are not two queries to make a batch of.
    """

    pairs: ClickedPairs
    source: RegionSource
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
    _planned: dict[int, IntArray] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        texts = len(np.unique(self.pairs.texts))
        if texts < 2:
            raise DataError("training needs two different queries with words; the data has one")
        batch = min(self.batch, texts)
        if batch % self.size:
            what = f"the data's {texts} distinct queries" if batch < self.batch else "a batch"
            raise UsageError(
                f"{what} of {batch} cannot be shared equally by {self.size} processes;"
                f" set train.batch to a multiple of {self.size}"
            )
        object.__setattr__(self, "batch", batch)

    def plan(self, epoch: int) -> IntArray:
        """(S, B) the pairs of every batch of an epoch, over all processes together."""
        if epoch not in self._planned:
            self._planned.clear()  # one epoch is asked for again and again
            self._planned[epoch] = self._plan(epoch)
        return self._planned[epoch]

    def steps(self, epoch: int) -> int:
        """Batches of an epoch."""
        return len(self.plan(epoch))

    def epoch(self, epoch: int, start: int = 0) -> Generator[PairBatch]:
        """This process's slices of an epoch's batches, from batch ``start`` on, in order."""
        steps = iter(range(start, self.steps(epoch)))
        if not self.workers:
            for step in steps:
                yield self.read(epoch, step)
            return
        pool = ThreadPoolExecutor(self.workers, "batches")
        ahead: deque[Future[PairBatch]] = deque()
        try:
            for step in steps:
                ahead.append(pool.submit(self.read, epoch, step))
                if len(ahead) > self.workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def read(self, epoch: int, step: int) -> PairBatch:
        """This process's slice of one batch."""
        rows = self.plan(epoch)[step]
        products, others, negatives = self.pairs.products[rows], None, None
        if self.negatives:
            rng = self._generator("negatives", epoch, step)
            drawn = self.negatives.draw(self.pairs.queries[rows], products, rng)
            others, negatives = self._own(drawn.queries), self._own(drawn.products)
        return self._batch(self._own(rows), others, negatives)

    def _batch(
        self, rows: IntArray, others: IntArray | None, negatives: IntArray | None
    ) -> PairBatch:

        pairs = self.pairs
        clicked = pairs.products[rows]
        both = clicked if negatives is None else np.concatenate([clicked, negatives])
        products, at = np.unique(both, return_inverse=True)
        places = torch.from_numpy(at.reshape(-1).astype(np.int64))
        return PairBatch(
            regions=as_regions(self.source.read(products), self.through_trunk),
            queries=pairs.tokens.block(pairs.texts[rows]),
            product_idx=places[: len(rows)],
            query_keys=torch.from_numpy(pairs.texts[rows]),
            product_keys=torch.from_numpy(products),
            negative_queries=None if others is None else self._tokens(others),
            negative_product_idx=None if negatives is None else places[len(rows) :],
            product_words=pairs.product_words.block(products) if self.with_words else None,
        )

    def _tokens(self, queries: IntArray) -> Tokens:
        return self.pairs.tokens.block(self.pairs.groups.text[queries].astype(np.int64))

    def _own(self, rows: IntArray) -> IntArray:
        """This process's slice of B rows."""
        share = len(rows) // self.size
        return rows[self.rank * share : (self.rank + 1) * share]

    def _plan(self, epoch: int) -> IntArray:
        rng = self._generator("order", epoch)
        texts, share = self.pairs.texts, self.hard_fraction
        if self.group_labels is None or not share or epoch < self.hard_from_epoch:
            return shuffled_batches(texts, self.batch, rng)
        like = grouped_batches(texts, self.group_labels, self.batch, rng)
        if share >= 1:
            return like
        blend = shuffled_batches(texts, self.batch, rng)
        count = min(round(share * len(blend)), len(like))
        return rng.permutation(np.concatenate([like[:count], blend[: len(blend) - count]]))

    def _generator(self, purpose: str, *place: int) -> np.random.Generator:
        return np.random.default_rng([zlib.crc32(purpose.encode()), self.seed, *place])
