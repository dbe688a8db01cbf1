"""``shopsight bench search``: recall, latency, size and memory of an index, on one core."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shopsight.bench.measure import peak_mib, resident_bytes, show, timed
from shopsight.cli.parser import Parser
from shopsight.cli.progress import progress_bar, progress_callback
from shopsight.config import WorldConfig
from shopsight.errors import UsageError, pluralise
from shopsight.models.registry import model_names
from shopsight.tables import Grid

if TYPE_CHECKING:
    from shopsight.search.searcher import Searcher
    from shopsight.search.snapshot import Snapshot

_DEPTHS = (50, 200, 1000)
_RECALL_AT = 200
_WARMUP = 10

Figures = dict[str, Any]


def run(argv: list[str]) -> None:
    """Run ``shopsight bench search``."""
    parser = Parser(
        "bench search",
        "Measure an index on one core: recall of the exact nearest products, milliseconds of each"
        " stage and depth, bytes on disk, memory; by default a small synthetic index. With judged"
        " queries, nDCG@5 over the full catalogue.",
        [
            "bench search",
            "bench search INDEX --data DATA --split valid",
            "bench search INDEX --products 1000000 --folder big --json",
        ],
    )
    add = parser.add_argument
    add("index", metavar="INDEX", nargs="?", help="index folder")
    add("--products", type=int, default=0, help="measure a synthetic index grown from INDEX")
    add("--folder", metavar="DIR", help="folder of the grown index (default: temporary)")
    add("--queries", type=int, default=300, help="number of timed queries")
    add("--clock", choices=("wall", "cpu"), default="wall", help="cpu excludes waiting")
    add("--judged", type=int, default=100, help="number of queries for nDCG@5")
    add("--data", metavar="DATA", help="prepared folder with judged queries")
    add("--split", metavar="S", default="valid", help="split of the judged queries")
    args = parser.read(argv)
    if min(args.queries, args.judged) < 1 or args.products < 0:
        raise UsageError("--queries and --judged must be at least 1, and --products at least 0")
    import torch
    from threadpoolctl import threadpool_limits

    from shopsight.search.retrievers.faiss import faiss_module

    faiss_module()  # loaded, like torch, before the threads of its library are limited
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="shopsight-bench-") as folder, threadpool_limits(1):
        figures = _measure(args, Path(folder))
    torch.set_num_threads(threads)
    show(figures, _grids(figures), as_json=args.json)


def _measure(args: Any, folder: Path) -> Figures:
    from shopsight.search.searcher import Searcher
    from shopsight.search.snapshot import Snapshot

    path, built = timed(lambda: Path(args.index) if args.index else _small_index(folder, args.seed))
    if args.products:
        path, built = timed(lambda: _grown_index(path, args, folder))
    snapshot = Snapshot.current(path)
    searcher = Searcher.open(
        path, clock=time.thread_time if args.clock == "cpu" else time.perf_counter
    )
    resident = resident_bytes()
    opened = peak_mib() if resident is None else resident / 2**20
    queries = _queries(searcher, args.queries)
    kinds = {str(segment.faiss["kind"]) for segment in snapshot.generation.segments}
    figures = {
        "products": snapshot.generation.products,
        "recall": ", ".join(sorted(kinds)),
        "seconds_built": built,
        f"recall@{_RECALL_AT}": _recall(searcher, snapshot, queries),
        "milliseconds": {
            name: {"p50": float(np.percentile(times, 50)), "p99": float(np.percentile(times, 99))}
            for name, times in _latencies(searcher, snapshot, queries).items()
        },
        "bytes": _sizes(snapshot),
        "ndcg@5": _ndcg(searcher, snapshot, args) if args.data else {},
    }
    figures["memory_mib"] = {"opened": opened, "highest": peak_mib()}
    searcher.close()
    return figures


def _grown_index(source: Path, args: Any, folder: Path) -> Path:
    from shopsight.bench.synthetic_index import build_synthetic_index
    from shopsight.search.snapshot import Snapshot

    out = Path(args.folder or folder / "grown")
    if not (out / "index.json").exists():
        with progress_bar(quiet=args.quiet or args.json) as bar:
            build_synthetic_index(
                Snapshot.current(source), args.products, out, args.seed, progress_callback(bar)
            )
    return out


def _small_index(folder: Path, seed: int) -> Path:
    """Index of a small data set and barely trained models, which are as fast as good ones."""
    from shopsight.api.data import prepare_kddcup
    from shopsight.api.training import train
    from shopsight.demo.world import make_world

    rows, products, queries, candidates = 1_500, 800, 40, 300
    world = WorldConfig(rows, products, queries, candidates, feature_width=64, seed=seed)
    make_world(folder / "raw", world)
    short = [f"{name}.train.epochs=1" for name in model_names()]
    data = prepare_kddcup(folder / "raw", folder / "data")
    ranker = train(data, "tiny", folder / "run", [*short, "dual.phase2_epochs=0"])
    ranker.build_index(data, folder / "index").close()
    return folder / "index"


def _queries(searcher: Searcher, count: int) -> list[str]:
    sample = searcher.sample()
    if not sample:
        raise UsageError("the index has no training queries to measure with")
    return [sample[i % len(sample)] for i in range(count)]


def _recall(searcher: Searcher, snapshot: Snapshot, queries: list[str]) -> float:
    from shopsight.search.retrievers.faiss import exact, overlap

    vectors = searcher.query_vectors(list(dict.fromkeys(queries))[:_RECALL_AT])
    rows = np.flatnonzero(snapshot.alive)
    nearest, _ = exact(vectors, rows, snapshot.vectors, min(_RECALL_AT, len(rows)))
    retrieved, _ = snapshot.nearest(vectors, _RECALL_AT, snapshot.allowed([]))
    return overlap(retrieved, nearest)


def _latencies(
    searcher: Searcher, snapshot: Snapshot, queries: list[str]
) -> dict[str, list[float]]:
    """Milliseconds of each query by stage, one query after the other."""
    times: dict[str, list[float]] = defaultdict(list)
    warmup = queries[:_WARMUP]
    for i, query in enumerate([*warmup, *queries]):
        for depth in _DEPTHS:
            if depth > snapshot.generation.products and depth != _DEPTHS[0]:
                continue
            seconds = searcher.search(query, 5, candidates=depth).seconds
            if i < len(warmup):
                continue
            times[f"rank {depth} again"].append(1000 * seconds["rerank"])
            if depth == _RECALL_AT:
                times["encode"].append(1000 * seconds["encode"])
                times["retrieve"].append(1000 * seconds["retrieve"])
                times[f"all, depth {depth}"].append(1000 * sum(seconds.values()))
    choices = [facet for facet in snapshot.facets if facet.kind in ("flag", "choice")]
    for facet in [facet for facet in choices if facet.values][:1]:
        value = next(iter(facet.values))
        for query in queries:
            results = searcher.search(query, 5, rerank=False, filters={facet.name: value})
            times[f"recall where {facet.name}={value}"].append(1000 * results.seconds["retrieve"])
    return times


def _ndcg(searcher: Searcher, snapshot: Snapshot, args: Any) -> dict[str, float]:
    """nDCG@5 over the full catalogue, where unjudged products count as irrelevant."""
    from shopsight.data.dataset import PreparedData
    from shopsight.inference.evaluate import HEADLINE
    from shopsight.metrics.evaluate import Evaluator
    from shopsight.types import Qrels, Run

    data = PreparedData.open(args.data)
    qrels, table = data.qrels(args.split), data.queries(args.split)
    judged = dict(list(qrels.relevance.items())[: args.judged])
    settings: dict[str, dict[str, Any]] = {"recall only": {"rerank": False}}
    settings |= {f"depth {depth}": {"candidates": depth} for depth in _DEPTHS}
    settings["every product"] = {"candidates": snapshot.generation.products}
    evaluator, values = Evaluator(Qrels(judged)), {}
    for name, options in settings.items():
        scores = {
            query: {hit.product_id: hit.score for hit in searcher.search(text, 10, **options).hits}
            for query, text in zip(table.ids, table.texts, strict=True)
            if query in judged
        }
        values[name] = float(evaluator.per_query(Run.from_dict(scores), HEADLINE).mean())
    return values


def _sizes(snapshot: Snapshot) -> dict[str, int]:
    """Bytes on disk by purpose, largest first."""
    sizes: dict[str, int] = defaultdict(int)
    for name, entry in snapshot.generation.files.items():
        sizes[_purpose(name)] += entry["bytes"]
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def _purpose(path: str) -> str:
    name = path.rpartition("/")[2]
    if not path.startswith("segment-"):
        return "models" if path.startswith(("models", "extractor")) else "records"
    if name == "vectors.faiss":
        return "recall"
    if name.startswith("photo"):
        return "photos"
    if name in ("features.npy", "boxes.npy", "offsets.npy"):
        return "regions"
    model, *rest = name.split(".")  # encodings are MODEL.TENSOR.npy
    return f"codes of {model}" if len(rest) > 1 else "records"


def _grids(figures: Figures) -> list[Grid]:
    products, memory = figures["products"], figures["memory_mib"]
    times = [
        (name, f"{time['p50']:,.1f}", f"{time['p99']:,.1f}")
        for name, time in figures["milliseconds"].items()
    ]
    note = (
        f"{pluralise(products, 'product')}, {figures['recall']} index with recall@{_RECALL_AT}"
        f" {figures[f'recall@{_RECALL_AT}']:.2%}, built in {figures['seconds_built']:,.0f} s."
        f" Memory {memory['opened']:,.0f} MiB after opening, {memory['highest']:,.0f} MiB peak."
    )
    sizes = {**figures["bytes"], "all": sum(figures["bytes"].values())}
    rows = [
        (name, f"{size / 2**20:,.1f}", f"{size / max(products, 1):,.0f}")
        for name, size in sizes.items()
    ]
    values = tuple((name, f"{value:.4f}") for name, value in figures["ndcg@5"].items())
    grids = [
        Grid(("milliseconds, one core", "p50", "p99"), tuple(times), note),
        Grid(("on disk", "MiB", "bytes per product"), tuple(rows)),
        Grid(("over the full catalogue", "ndcg@5"), values),
    ]
    return [grid for grid in grids if grid.rows]
