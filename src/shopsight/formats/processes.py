"""Work in a bounded pool of processes: results in order, and never more under way than is needed.

Photos are decoded in processes of their own: they use every core, and a decoder that dies takes
one of them along and not the work.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any, Generic, TypeVar

from shopsight.errors import InputError

Task = TypeVar("Task")
Kept = TypeVar("Kept")
Result = TypeVar("Result")
_AHEAD = 3  # tasks of each process that wait or run


class Pool(Generic[Task, Result]):
    """Carries out one function on many tasks; use `process_pool`."""

    def __init__(
        self, function: Callable[[Task], Result], executor: ProcessPoolExecutor | None, workers: int
    ) -> None:
        self._function, self._executor = function, executor
        self._ahead = _AHEAD * workers

    def map(self, tasks: Iterable[tuple[Kept, Task]]) -> Iterator[tuple[Kept, Result]]:
        """The result of every task, in order; tasks are taken only as they are needed.

        Args:
            tasks: each with something that is kept here and comes back with the result.

        Raises:
            InputError: a process died.
        """
        if self._executor is None:
            for kept, task in tasks:
                yield kept, self._function(task)
            return
        waiting: deque[tuple[Kept, Future[Result]]] = deque()
        try:
            for kept, task in tasks:
                waiting.append((kept, self._executor.submit(self._function, task)))
                if len(waiting) >= self._ahead:
                    yield waiting[0][0], waiting.popleft()[1].result()
            while waiting:
                yield waiting[0][0], waiting.popleft()[1].result()
        except BrokenProcessPool as error:
            reason = "a process that reads photos died, perhaps for want of memory"
            advice = "run the same command again to continue, with fewer --workers"
            raise InputError(f"{reason}; {advice}", path="photos") from error


@contextmanager
def process_pool(
    function: Callable[[Task], Result],
    workers: int,
    prepare: Callable[..., None] | None = None,
    arguments: tuple[object, ...] = (),
) -> Iterator[Pool[Task, Result]]:
    """A pool that ends with the block; with one worker, everything is done in this process.

    Args:
        function: what is done with each task; a function of a module, as other processes must
            find it.
        workers: processes; 0 takes every core this process may use.
        prepare: called once in each process, before its first task.
        arguments: what it is called with.
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
    """What a process does first: leave Ctrl-C to its parent, and use one core for itself."""
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if prepare:
        prepare(*arguments)
    threadpool_limits(1)


def _end_with_parent() -> None:
    """A parent that is killed cannot say so; its processes would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
