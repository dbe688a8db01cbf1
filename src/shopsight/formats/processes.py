"""Ordered, bounded process pool.

Photos are decoded in separate processes, which use every core and keep a crashing decoder away
from the main process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any, Generic, TypeVar

from shopsight.errors import ShopsightError

Task = TypeVar("Task")
Kept = TypeVar("Kept")
Result = TypeVar("Result")
_PENDING = 3  # tasks per worker that wait or run


class Pool(Generic[Task, Result]):
    """Applies one function to many tasks; `process_pool` makes one of processes."""

    def __init__(
        self, function: Callable[[Task], Result], executor: Executor | None, workers: int
    ) -> None:
        self._function, self._executor = function, executor
        self._pending = _PENDING * workers

    def map(self, tasks: Iterable[tuple[Kept, Task]]) -> Iterator[tuple[Kept, Result]]:
        """The result of every task, in order; tasks are consumed only as results are taken.

        Of each (kept, task) pair, ``kept`` stays in this process and comes back with the result.
        Raises ShopsightError if a process died.
        """
        if self._executor is None:
            for kept, task in tasks:
                yield kept, self._function(task)
            return
        waiting: deque[tuple[Kept, Future[Result]]] = deque()
        try:
            for kept, task in tasks:
                waiting.append((kept, self._executor.submit(self._function, task)))
                if len(waiting) >= self._pending:
                    yield waiting[0][0], waiting.popleft()[1].result()
            while waiting:
                yield waiting[0][0], waiting.popleft()[1].result()
        except BrokenProcessPool as error:
            reason = "a worker process died, perhaps out of memory"
            advice = "run the same command again to continue, with fewer --workers"
            raise ShopsightError(f"{reason}; {advice}") from error


@contextmanager
def process_pool(
    function: Callable[[Task], Result],
    workers: int,
    prepare: Callable[..., None] | None = None,
    arguments: tuple[object, ...] = (),
) -> Iterator[Pool[Task, Result]]:
    """A process pool that ends with the block; one worker runs in this process.

    Args:
        function: applied to each task; a module-level function, so that it can be pickled.
        workers: number of processes; 0 takes every core this process may use.
        prepare: called with ``arguments`` once in each process, before its first task.
    """
    count = workers or len(os.sched_getaffinity(0))
    if count == 1:
        if prepare:
            prepare(*arguments)
        yield Pool(function, None, 1)
        return
    executor = ProcessPoolExecutor(count, _SpawnContext(), _begin, (prepare, arguments))
    try:
        yield Pool(function, executor, count)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


class _SpawnProcess(SpawnProcess):
    """A spawned process that does not import the main module of its parent.

    Otherwise each worker would run a user's script again from the top, unless the script guards
    itself with ``if __name__ == "__main__"``. Workers only need functions of this package.
    """

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            return SpawnProcess._Popen(process_obj)
        finally:
            sys.modules["__main__"] = main


class _SpawnContext(SpawnContext):
    Process = _SpawnProcess


def _begin(prepare: Callable[..., None] | None, arguments: tuple[object, ...]) -> None:
    """Initialise a worker: leave Ctrl-C to the parent, use one core."""
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if prepare:
        prepare(*arguments)
    threadpool_limits(1)


def _end_with_parent() -> None:
    """Exit when the parent dies: a killed parent sends no signal, and its workers would remain."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
