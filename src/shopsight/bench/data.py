"""``shopsight bench data``: throughput of preparation, region store, query groups, negatives."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from shopsight.bench.measure import peak_mib, show, timed
from shopsight.cli.parser import Parser, config_from
from shopsight.config import KddcupConfig, NegativesConfig, WorldConfig
from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import TRAIN
from shopsight.demo.world import make_world
from shopsight.errors import OutputError
from shopsight.negatives.groups import build_query_groups
from shopsight.negatives.sampler import NegativeSampler
from shopsight.prepare.kddcup.ingest import prepare_kddcup
from shopsight.prepare.kddcup.line_reader import CHUNK_BYTES
from shopsight.prepare.kddcup.raw_folder import find_raw
from shopsight.tables import Grid

_BATCH, _BATCHES = 256, 200

Figures = dict[str, tuple[float, str]]
"""Value and unit by name."""


def run(argv: list[str]) -> None:
    """Run ``shopsight bench data``."""
    parser = Parser(
        "bench data",
        "Measure the data pipeline: prepare raw files (by default a small synthetic data set),"
        " read random products, group queries, draw negatives.",
        ["bench data", "bench data --raw raw --workers 2", "bench data --rows 300000 --json"],
    )
    parser.add_argument("--raw", metavar="RAW", help="raw folder (default: synthetic)")
    parser.add_argument("--rows", type=int, default=8_000, help="synthetic training rows")
    parser.add_argument("--folder", metavar="DIR", help="work folder (default: temporary)")
    parser.add_class_arguments(KddcupConfig, None)
    args = parser.read(argv)
    if args.folder and not Path(args.folder).is_dir():
        raise OutputError(f"{args.folder}: no such folder")
    with tempfile.TemporaryDirectory(prefix="shopsight-bench-", dir=args.folder) as folder:
        figures = _measure(Path(folder), args)
    rows = tuple((name, f"{value:,.0f}", unit) for name, (value, unit) in figures.items())
    show(figures, [Grid(("data", "figure", "unit"), rows)], as_json=args.json)


def _measure(folder: Path, args: Any) -> Figures:
    raw = Path(args.raw) if args.raw else folder / "raw"
    if not args.raw:
        products = max(args.rows // 2, 1)
        make_world(raw, WorldConfig(args.rows, products, feature_width=2048, seed=args.seed))
    paths = [split.path for split in find_raw(raw).splits]
    size = sum(path.stat().st_size for path in paths)
    _read_files(paths)  # into the page cache, so that disks are left out of the comparison
    _, reading = timed(lambda: _read_files(paths))
    config = config_from(KddcupConfig, args)
    data, preparing = timed(lambda: prepare_kddcup(raw, folder / "data", config))
    rows = sum(counts["rows"] for counts in data.manifest["splits"].values())
    stored = sum(entry["bytes"] for entry in data.manifest["files"].values())
    figures = {
        "raw files": (size / 1e6, "MB"),
        "reading them, nothing else": (size / reading / 1e6, "MB/s"),
        "preparing, all of it": (size / preparing / 1e6, "MB/s"),
        "preparing, rows": (rows / preparing, "rows/s"),
        "peak memory so far": (peak_mib(children=True), "MiB, the largest process"),
        "store": (stored / 1e6, "MB"),
        f"reading {_BATCH} random products": (_store_throughput(data, args.seed), "products/s"),
    }
    if TRAIN in data.splits:
        figures |= _query_throughput(data, args.seed)
    return figures


def _query_throughput(data: PreparedData, seed: int) -> Figures:
    texts, pairs, config = data.queries(TRAIN).texts, data.pairs(), NegativesConfig()
    vocabulary = data.vocabulary()
    _, encoding = timed(lambda: vocabulary.encode(texts))
    groups, grouping = timed(lambda: build_query_groups(texts, config, seed))
    sampler = NegativeSampler(groups, pairs.queries, pairs.products, config)
    rng = np.random.default_rng(seed)

    def draw() -> None:
        for _ in range(_BATCHES):
            rows = rng.integers(0, len(pairs), _BATCH)
            sampler.draw(pairs.queries[rows], pairs.products[rows], rng)

    _, drawing = timed(draw)
    return {
        "tokens of queries": (len(texts) / encoding, "queries/s"),
        "grouping queries": (len(texts) / grouping, "queries/s"),
        f"drawing negatives, {_BATCH} at a time": (_BATCHES * _BATCH / drawing, "pairs/s"),
    }


def _store_throughput(data: PreparedData, seed: int) -> float:
    """Random products per second, from the page cache."""
    store, rng = data.store, np.random.default_rng(seed)
    batches = [rng.integers(0, len(store), _BATCH) for _ in range(_BATCHES)]
    for batch in batches:
        store.read(batch)
    _, seconds = timed(lambda: [store.read(batch) for batch in batches])
    return _BATCHES * _BATCH / seconds


def _read_files(paths: list[Path]) -> None:
    buffer = memoryview(bytearray(CHUNK_BYTES))
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
