"""Parse raw files with several processes, in order, in bounded memory.

Processes, because splitting rows and checking columns is Python code that the GIL would serialise.
Text and features travel through memory that parent and forked workers share: pickling megabytes
through a pipe would cost more than parsing them. Chunks are handed out and returned in file order,
so the result does not depend on the number of processes.
"""

from __future__ import annotations

import itertools
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shopsight.formats.processes import PENDING, Pool, process_pool
from shopsight.prepare.kddcup.line_reader import CHUNK_BYTES, LinePosition, LineReader
from shopsight.prepare.kddcup.parser import ParsedRows, parse_rows
from shopsight.prepare.kddcup.regions import RowRules

# Products a process remembers, to avoid decoding them again. Forgetting one costs time only: the
# writer stores each product once anyway.
_CACHED_PRODUCTS = 250_000


@dataclass(frozen=True)
class ParsedChunk:
    """A parsed chunk.

    Attributes:
        rows: its rows; ``features`` is valid until the next chunk is requested.
        end: the stream's position after the chunk.
        raw_offset: bytes of the file itself read so far.
    """

    rows: ParsedRows
    end: LinePosition
    raw_offset: int


class _Slot:
    """Shared memory for one chunk: its text in the first half, its features in the second."""

    def __init__(self, chunk_bytes: int) -> None:
        # Decoded features take at most 3/4 of their base64 text.
        memory = memoryview(mmap.mmap(-1, 2 * chunk_bytes))
        self.text, self.features = memory[:chunk_bytes], memory[chunk_bytes:]


# Of this process: shared memory cannot be sent with a task, so workers inherit it.
_slots: list[_Slot] = []
_cached: dict[int, int] = {}

_Task = tuple[int, int, int, RowRules]  # slot, start and end of the rows in it, rules
_Result = tuple[ParsedRows, tuple[int, ...], np.dtype[Any]]  # rows; shape and dtype of features


def _set_slots(slots: list[_Slot]) -> None:
    global _slots
    _slots = slots
    _cached.clear()


def _parse(task: _Task) -> _Result:
    """Parse the text of a slot; the features are left in the slot."""
    number, start, end, rules = task
    slot = _slots[number]
    rows = parse_rows(bytes(slot.text[start:end]), rules, _cached, slot.features)
    if len(_cached) > _CACHED_PRODUCTS:
        _cached.clear()
    new = rows.new
    _cached.update(zip(rows.product_ids[new].tolist(), rows.digests[new].tolist(), strict=True))
    features = rows.features
    if features.base is None:  # invalid rows were dropped, which made a copy
        np.frombuffer(slot.features, features.dtype, features.size)[:] = features.ravel()
    small = replace(rows, features=np.empty((0, 0), features.dtype))
    return small, features.shape, features.dtype


class RowStream:
    """Parses raw files with a fixed set of workers; use `row_stream`."""

    def __init__(self, pool: Pool[_Task, _Result], slots: list[_Slot]) -> None:
        self._pool, self._slots = pool, slots

    def first_chunk(self, reader: LineReader) -> int:
        """Read the first chunk to where `parse` expects it; returns its size."""
        return reader.fill(self._slots[0].text)

    def peek(self, size: int) -> bytes:
        """The first ``size`` bytes of the first chunk."""
        return bytes(self._slots[0].text[:size])

    def parse(
        self, reader: LineReader, rules: RowRules, first: int = 0, skip: int = 0
    ) -> Iterator[ParsedChunk]:
        """Yield the file's chunks in order.

        Args:
            reader: source of the lines.
            rules: of validation.
            first: bytes that `first_chunk` has read already; 0 if it was not called.
            skip: bytes of the header in the first chunk.

        Raises:
            ShopsightError: a worker process died.
        """

        def tasks() -> Iterator[tuple[tuple[int, LinePosition, int], _Task]]:
            # A slot is free again when its turn comes: the pool has at most as many tasks pending.
            for number, slot in enumerate(itertools.cycle(range(len(self._slots)))):
                size = first if first and not number else reader.fill(self._slots[slot].text)
                if not size:
                    return
                task = (slot, 0 if number else skip, size, rules)
                yield (slot, reader.position, reader.raw_offset()), task

        for (slot, end, raw_offset), (rows, shape, dtype) in self._pool.map(tasks()):
            features = np.frombuffer(self._slots[slot].features, dtype, shape[0] * shape[1])
            yield ParsedChunk(replace(rows, features=features.reshape(shape)), end, raw_offset)


@contextmanager
def row_stream(workers: int, chunk_bytes: int = CHUNK_BYTES) -> Iterator[RowStream]:
    """Start ``workers`` parsing processes; 0 means one per available core."""
    count = workers or len(os.sched_getaffinity(0))
    slots = [_Slot(chunk_bytes) for _ in range(PENDING * count)]
    with process_pool(_parse, count, _set_slots, (slots,), fork=True) as pool:
        yield RowStream(pool, slots)
