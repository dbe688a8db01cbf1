"""``shopsight bench``: what this machine reaches, printed; people judge the figures."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from shopsight.cli.options import config_from
from shopsight.cli.output import print_grid, print_json
from shopsight.cli.parser import Parser
from shopsight.config import KddcupConfig, NegativesConfig, WorldConfig
from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import TRAIN
from shopsight.demo.world import make_world
from shopsight.errors import OutputError, unknown_name
from shopsight.negatives.groups import build_query_groups
from shopsight.prepare.kddcup.ingest import prepare_kddcup
from shopsight.prepare.kddcup.line_reader import CHUNK_BYTES
from shopsight.prepare.kddcup.raw_folder import find_raw
from shopsight.tables import Grid
from shopsight.types import IntArray

_OVERVIEW = """usage: shopsight bench [data | train | rank | search | serve] ...

  data    preparing, reading the store, grouping queries, drawing negatives
  train   training steps: ours and the plain way side by side
  rank    ranking a split: ours and the plain way side by side
  search  recall, ranking, size and memory of an index
  serve   many clients at a server: answers a second, time, errors, memory

shopsight bench train --help explains it and gives examples. Without a word, all of
them but serve, which needs an index."""
_KINDS = ("data", "train", "rank", "search")
_SERVE = "serve"
BATCH = 256
Result = TypeVar("Result")


def run(command: str, arguments: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight bench`` with the words that follow it."""
    if arguments and arguments[0] in ("-h", "--help"):
        print(_OVERVIEW)
    elif not arguments:
        for name in _KINDS:
            _run_kind(name, [])
    elif arguments[0] in (*_KINDS, _SERVE):
        _run_kind(arguments[0], arguments[1:])
    else:
        raise unknown_name("benchmark", arguments[0], [*_KINDS, _SERVE])


def _run_kind(name: str, arguments: list[str]) -> None:
    if name == "data":
        _data(arguments)
        return
    if name == "search":
        from shopsight.bench.search import run_search

        run_search(arguments)
        return
    if name == _SERVE:
        from shopsight.bench.serve import run_serve

        run_serve(arguments)
        return
    from shopsight.bench import models as bench_models

    {"train": bench_models.run_train, "rank": bench_models.run_rank}[name](arguments)


def _data(arguments: list[str]) -> None:
    parser = Parser(
        "bench data",
        "Measure the data half: prepare raw files (those given, or a small world made for it), "
        "read random products, group queries, draw negatives.",
        ["bench data", "bench data --raw raw --workers 2", "bench data --rows 300000 --json"],
    )
    parser.add_argument("--raw", metavar="RAW", help="raw folder to prepare (default: made)")
    parser.add_argument("--rows", type=int, default=8_000, help="train rows of the made world")
    parser.add_argument("--folder", metavar="DIR", help="where to work (default: a temporary one)")
    parser.add_json()
    parser.add_class_arguments(KddcupConfig, None)
    given = parser.read(arguments)
    if given.folder and not Path(given.folder).is_dir():
        raise OutputError(f"{given.folder}: no such folder")
    with tempfile.TemporaryDirectory(prefix="shopsight-bench-", dir=given.folder) as folder:
        figures = _measure(Path(folder), given)
    if given.json:
        print_json(figures)
    else:
        rows = tuple((name, f"{value:,.0f}", unit) for name, (value, unit) in figures.items())
        print_grid(Grid(("data", "figure", "unit"), rows))


def _measure(folder: Path, given: Any) -> dict[str, tuple[float, str]]:
    raw = Path(given.raw) if given.raw else folder / "raw"
    if not given.raw:
        world = WorldConfig(
            train_rows=given.rows,
            train_products=max(given.rows // 2, 1),
            feature_width=2048,
            seed=given.seed,
        )
        make_world(raw, world)
    paths = [split.path for split in find_raw(raw).splits]
    size = sum(path.stat().st_size for path in paths)
    cached = _read_through(paths)
    config = config_from(KddcupConfig, given)
    data, seconds = _timed(lambda: prepare_kddcup(raw, folder / "data", config))
    rows = sum(counts["rows"] for counts in data.manifest["splits"].values())
    figures = {
        "raw files": (size / 1e6, "MB"),
        "reading them, nothing else": (size / cached / 1e6, "MB/s"),
        "preparing, all of it": (size / seconds / 1e6, "MB/s"),
        "preparing, rows": (rows / seconds, "rows/s"),
        "peak memory so far": (_peak_mib(), "MiB, the largest process"),
        "store": (_stored(data) / 1e6, "MB"),
        f"reading {BATCH} random products": (_store_rate(data, given.seed), "products/s"),
    }
    if TRAIN in data.splits:
        figures |= _query_rates(data, given.seed)
    return figures


def _query_rates(data: PreparedData, seed: int) -> dict[str, tuple[float, str]]:
    from shopsight.negatives.sampler import NegativeSampler

    texts, pairs, config = data.queries(TRAIN).texts, data.pairs(), NegativesConfig()
    vocabulary = data.vocabulary()
    _, encoding = _timed(lambda: vocabulary.encode(texts))
    groups, grouping = _timed(lambda: build_query_groups(texts, config, seed))
    sampler = NegativeSampler(groups, pairs.queries, pairs.products, config)
    rng = np.random.default_rng(seed)
    count = 200 * BATCH

    def draw() -> None:
        for _ in range(200):
            at = rng.integers(0, len(pairs), BATCH)
            sampler.draw(pairs.queries[at], pairs.products[at], rng)

    _, drawing = _timed(draw)
    return {
        "tokens of queries": (len(texts) / encoding, "queries/s"),
        "grouping queries": (len(texts) / grouping, "queries/s"),
        f"drawing negatives, {BATCH} at a time": (count / drawing, "pairs/s"),
    }


def _store_rate(data: PreparedData, seed: int) -> float:
    store, rng = data.store, np.random.default_rng(seed)
    batches: list[IntArray] = [rng.integers(0, len(store), BATCH) for _ in range(200)]
    for batch in batches:  # once for the page cache
        store.read(batch)
    _, seconds = _timed(lambda: [store.read(batch) for batch in batches])
    return len(batches) * BATCH / seconds


def _read_through(paths: list[Path]) -> float:
    """Seconds to read the files once more after they are in the page cache."""

    def read() -> None:
        buffer = memoryview(bytearray(CHUNK_BYTES))
        for path in paths:
            with open(path, "rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass

    read()
    return _timed(read)[1]


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def _stored(data: PreparedData) -> int:
    return sum(entry["bytes"] for entry in data.manifest["files"].values())


def _peak_mib() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(one).ru_maxrss for one in who) * unit / 2**20
