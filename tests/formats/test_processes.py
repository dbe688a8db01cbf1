"""Work in a bounded pool of processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pooled import above_base, die, double, fail, set_base
from shopsight.errors import ShopsightError
from shopsight.formats.processes import process_pool


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_with_what_was_kept(workers):
    with process_pool(double, workers) as pool:
        results = list(pool.map((f"kept {i}", i) for i in range(20)))
    assert results == [(f"kept {i}", 2 * i) for i in range(20)]


@pytest.mark.parametrize("workers", [1, 2])
def test_each_process_is_prepared(workers):
    with process_pool(above_base, workers, set_base, (100,)) as pool:
        assert [result for _, result in pool.map((None, i) for i in range(5))] == list(
            range(100, 105)
        )


@pytest.mark.parametrize(("workers", "most"), [(1, 2), (2, 7)])
def test_tasks_are_taken_only_as_they_are_needed(workers, most):
    taken = []

    def tasks():
        for i in range(30):
            taken.append(i)
            yield None, i

    with process_pool(double, workers) as pool:
        results = pool.map(tasks())
        for done in range(1, 10):
            next(results)
            assert len(taken) <= done + most


def test_a_process_that_dies_is_one_message():
    with (
        process_pool(die, 2) as pool,
        pytest.raises(ShopsightError, match="a worker process died"),
    ):
        list(pool.map((None, i) for i in range(10)))


PARENT = """
import sys
sys.path.insert(0, sys.argv[1])
from formats.test_processes import own_id
from pooled import above_base, die, double, fail, set_base
from shopsight.formats.processes import process_pool
if __name__ == "__main__":
    with process_pool(own_id, 2) as pool:
        for _, process in pool.map((None, i) for i in range(10_000)):
            print(process, flush=True)
"""


def own_id(number: int) -> int:
    time.sleep(0.01)
    return os.getpid()


def test_processes_end_with_a_parent_that_is_killed(tmp_path):
    path = tmp_path / "parent.py"
    path.write_text(PARENT)
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, str(path), tests]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        processes = {int(parent.stdout.readline()) for _ in range(40)}
        parent.kill()
    assert processes
    deadline = time.monotonic() + 60
    while any(map(is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, processes))


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # One that ended and was never reaped, as in a container without an init, is no more.
    status = Path(f"/proc/{process}/stat")
    return not (status.exists() and ") Z" in status.read_text())


def test_what_a_task_raises_arrives():
    with process_pool(fail, 2) as pool, pytest.raises(ValueError, match="no 0"):
        list(pool.map([(None, 0)]))
