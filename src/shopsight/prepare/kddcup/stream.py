"""Parse raw files with several processes, in order, in bounded memory.

Processes, because splitting rows and checking columns is Python code that the GIL would serialise.
Text and features travel through memory shared by parent and process; pickling megabytes through a
pipe would cost more than parsing them. Chunk ``i`` goes to process ``i mod W``, so results come
back in file order for any number of processes.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any, Protocol

import numpy as np

from shopsight.errors import ShopsightError
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
    """Memory for one chunk: its text in the first half, its features in the second."""

    def __init__(self, chunk_bytes: int) -> None:
        # Decoded features take at most 3/4 of their base64 text.
        memory = memoryview(mmap.mmap(-1, 2 * chunk_bytes))
        self.text, self.features = memory[:chunk_bytes], memory[chunk_bytes:]

    def parse(self, start: int, end: int, rules: RowRules, known: dict[int, int]) -> ParsedRows:
        rows = parse_rows(bytes(self.text[start:end]), rules, known, self.features)
        if len(known) > _CACHED_PRODUCTS:
            known.clear()
        new = rows.new
        known.update(zip(rows.product_ids[new].tolist(), rows.digests[new].tolist(), strict=True))
        return rows


class _Worker(Protocol):
    def send(self, slot: int, start: int, end: int, rules: RowRules) -> None: ...

    def receive(self) -> ParsedRows: ...

    def close(self) -> None: ...


class _InlineWorker:
    """Parses in this process: for one worker, or on platforms without fork."""

    def __init__(self, slots: list[_Slot]) -> None:
        self._slots, self._known = slots, dict[int, int]()
        self._done: deque[ParsedRows] = deque()

    def send(self, slot: int, start: int, end: int, rules: RowRules) -> None:
        self._done.append(self._slots[slot].parse(start, end, rules, self._known))

    def receive(self) -> ParsedRows:
        return self._done.popleft()

    def close(self) -> None:
        self._done.clear()


class _ForkedWorker:
    """Parses in a forked process, which exits when its parent dies."""

    def __init__(self, slots: list[_Slot], inherited: list[Connection]) -> None:
        context = multiprocessing.get_context("fork")
        self.connection, child_end = context.Pipe()
        arguments = (child_end, slots, [*inherited, self.connection])
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        child_end.close()
        self._slots = slots
        self._waiting: deque[int] = deque()

    def send(self, slot: int, start: int, end: int, rules: RowRules) -> None:
        try:
            self.connection.send((slot, start, end, rules))
        except (EOFError, ConnectionError) as error:
            raise _process_died() from error
        self._waiting.append(slot)

    def receive(self) -> ParsedRows:
        try:
            result: Any = self.connection.recv()
        except (EOFError, ConnectionError) as error:
            raise _process_died() from error
        if isinstance(result, str):
            raise RuntimeError(f"a parsing process failed:\n{result}")
        rows: ParsedRows
        rows, shape, dtype = result
        count = shape[0] * shape[1]
        features = np.frombuffer(self._slots[self._waiting.popleft()].features, dtype, count)
        return replace(rows, features=features.reshape(shape))

    def close(self) -> None:
        self.connection.close()
        self._process.terminate()
        self._process.join()


def _process_died() -> ShopsightError:
    reason = "a parsing process was killed (out of memory?)"
    return ShopsightError(f"{reason}; run the same command again to continue")


def _serve(connection: Connection, slots: list[_Slot], inherited: list[Connection]) -> None:
    """Serve tasks in a parsing process until the parent closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    # Inherited ends would keep the pipe open after the parent's death.
    for other in inherited:
        other.close()
    known: dict[int, int] = {}
    while True:
        try:
            slot, start, end, rules = connection.recv()
        except (EOFError, ConnectionError):
            os._exit(0)
        try:
            rows = slots[slot].parse(start, end, rules, known)
            shape, dtype = _features_in_slot(rows, slots[slot])
            small = replace(rows, features=np.empty((0, 0), dtype))
            connection.send((small, shape, dtype))
        except (EOFError, ConnectionError):
            os._exit(0)
        except Exception:
            connection.send(traceback.format_exc())


def _features_in_slot(rows: ParsedRows, slot: _Slot) -> tuple[tuple[int, ...], str]:
    """Put the features at the start of the slot's second half; returns shape and dtype."""
    features = rows.features
    if features.base is None:  # invalid rows were dropped, which made a copy
        np.frombuffer(slot.features, features.dtype, features.size)[:] = features.ravel()
    return features.shape, features.dtype.str


class RowStream:
    """Parses raw files with a fixed set of workers; use `row_stream`."""

    def __init__(self, workers: list[_Worker], slots: list[_Slot]) -> None:
        self._workers, self._slots = workers, slots

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
        """
        waiting: deque[tuple[_Worker, LinePosition, int]] = deque()
        number = 0
        while True:
            slot = number % len(self._slots)
            if len(waiting) == len(self._slots):  # the oldest chunk occupies this slot
                yield _receive(*waiting.popleft())
            size = first if first and number == 0 else reader.fill(self._slots[slot].text)
            if not size:
                break
            worker = self._workers[number % len(self._workers)]
            worker.send(slot, skip if number == 0 else 0, size, rules)
            waiting.append((worker, reader.position, reader.raw_offset()))
            number += 1
        while waiting:
            yield _receive(*waiting.popleft())


def _receive(worker: _Worker, end: LinePosition, raw_offset: int) -> ParsedChunk:
    return ParsedChunk(worker.receive(), end, raw_offset)


@contextmanager
def row_stream(workers: int, chunk_bytes: int = CHUNK_BYTES) -> Iterator[RowStream]:
    """Start ``workers`` parsing processes; 0 means one per available core."""
    count = workers or len(os.sched_getaffinity(0))
    # Two slots per process: one is parsed while the other is filled.
    slots = [_Slot(chunk_bytes) for _ in range(2 * count)]
    started: list[_Worker] = []
    if count == 1 or "fork" not in multiprocessing.get_all_start_methods():
        started.append(_InlineWorker(slots))
    else:
        pipes: list[Connection] = []
        for _ in range(count):
            process = _ForkedWorker(slots, list(pipes))
            pipes.append(process.connection)
            started.append(process)
    try:
        yield RowStream(started, slots)
    finally:
        for worker in started:
            worker.close()
