"""Searching while another process changes the index, and killing that process."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shopsight.config import IndexConfig
from shopsight.data.dataset import PreparedData
from shopsight.inference.run_folder import RunFolder
from shopsight.search.index import build_index, check_index, update_products
from shopsight.search.searcher import Searcher

Subset = Callable[..., PreparedData]
SCRIPT = Path(__file__).with_name("writer_process.py")


@pytest.fixture
def shop(mixed_run: RunFolder, subset: Subset, tmp_path: Path) -> tuple[Path, list[str]]:
    """An index of sixty products, and two versions of their data with different titles."""
    old, new = subset(0, 60, "old"), subset(0, 60, "new")
    build_index(mixed_run, old, tmp_path / "index", IndexConfig(regions=False, compact_above=3))
    return tmp_path / "index", [str(old.path), str(new.path)]


@contextmanager
def writer(index: Path, datas: list[str], seed: int) -> Iterator[subprocess.Popen[str]]:
    """A process that is changing the index, killed at the end of the block."""
    command = [sys.executable, str(SCRIPT), str(index), str(seed), *datas]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def kill_writers(index: Path, datas: list[str], count: int) -> None:
    rng, numbers = random.Random(count), []
    for seed in range(count):
        with writer(index, datas, seed):
            time.sleep(rng.uniform(0.02, 0.8))
        generation = check_index(index)
        numbers.append(generation.number)
        assert 50 <= generation.products <= 60
        assert len(Searcher.open(index).search("red shoe", 5).hits) == 5
    assert numbers == sorted(numbers)
    assert numbers[-1] > 1
    update_products(index, PreparedData.open(datas[0]))
    kept = {segment.name for segment in check_index(index).segments}
    assert kept <= {path.name for path in index.glob("segment-*")}
    assert not list(index.glob("pending-*"))
    assert not list(index.glob("*.tmp"))


def test_a_killed_writer_leaves_a_valid_index(shop: tuple[Path, list[str]]) -> None:
    kill_writers(*shop, count=3)


@pytest.mark.slow
def test_a_writer_killed_ten_times_leaves_a_valid_index(shop: tuple[Path, list[str]]) -> None:
    kill_writers(*shop, count=10)


def read_while_writing(index: Path, datas: list[str], seconds: float) -> None:
    searcher, wrong, counts = Searcher.open(index), [], []
    states: set[int] = set()
    start, count_needed = time.monotonic(), 3

    def running() -> bool:
        """For the given time, and on a busy machine until enough generations were seen."""
        passed = time.monotonic() - start
        return passed < seconds or (len(states) < count_needed and passed < seconds + 120)

    def read() -> None:
        count = 0
        while running():
            try:
                results = searcher.search("red shoe", 55, candidates=60)
                versions = {str(hit.fields["title"]).split()[0] for hit in results.hits}
                if len(versions) != 1 or len(results.hits) < 50:
                    wrong.append(f"torn: {versions}, {len(results.hits)} hits")
                first = results.hits[0].product_id
                searcher.similar(first, 3)
                states.add(searcher.info()["generation"])
            except Exception as error:
                if "no product" not in str(error):  # removed since the search
                    wrong.append(repr(error))
            count += 1
        counts.append(count)

    with writer(index, datas, 0) as process:
        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert process.poll() is None
    assert wrong == []
    assert sum(counts) >= 4
    assert len(states) >= count_needed


def test_readers_see_one_state_or_the_next(shop: tuple[Path, list[str]]) -> None:
    read_while_writing(*shop, seconds=2)


@pytest.mark.slow
def test_readers_see_one_state_or_the_next_for_a_minute(shop: tuple[Path, list[str]]) -> None:
    read_while_writing(*shop, seconds=60)
