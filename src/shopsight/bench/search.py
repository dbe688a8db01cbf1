"""``shopsight bench search``: recall, ranking, size and memory of an index, on one core."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shopsight.cli.output import print_grid, print_json
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
_RECALLED = 200
_WARM = 10


@dataclass
class Figures:
    """What was measured.

    Attributes:
        products: of the index.
        kind: how it recalls.
        built: seconds that making it took, 0 if it was there.
        share: of the 200 truly nearest products that recall finds.
        times: by what, the milliseconds of each query.
        sizes: bytes on disk by what.
        memory: MiB of the process after opening, and at its highest.
        values: by how it was searched, nDCG@5 over the full catalogue.
    """

    products: int
    kind: str
    built: float
    share: float = 0.0
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    sizes: dict[str, int] = field(default_factory=dict)
    memory: tuple[float, float] = (0.0, 0.0)
    values: dict[str, float] = field(default_factory=dict)


def run(argv: list[str]) -> None:
    """Run ``shopsight bench search``."""
    parser = Parser(
        "bench search",
        "Measure an index on one core: the share of the truly nearest products that recall finds,"
        " milliseconds of each stage and depth, bytes on disk, memory. Without an index, that of a"
        " small world that is made for it. With answers, nDCG@5 over the full catalogue.",
        [
            "bench search",
            "bench search INDEX --data DATA --split valid",
            "bench search INDEX --products 1000000 --folder big --json",
        ],
    )
    parser.add_argument("index", metavar="INDEX", nargs="?", help="index folder")
    parser.add_argument(
        "--products",
        type=int,
        default=0,
        help="measure an index of so many products, drawn around those of INDEX",
    )
    parser.add_argument(
        "--folder", metavar="DIR", help="where that goes (default: a temporary one)"
    )
    parser.add_argument("--queries", type=int, default=300, help="how many are timed")
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu leaves out waiting, also for other programs on a busy machine",
    )
    parser.add_argument(
        "--judged", type=int, default=100, help="how many queries with answers are judged"
    )
    parser.add_argument("--data", metavar="DATA", help="prepared folder with queries and answers")
    parser.add_argument("--split", metavar="S", default="valid", help="whose answers")
    parser.add_json()
    given = parser.read(argv)
    if min(given.queries, given.judged) < 1 or given.products < 0:
        raise UsageError("--queries and --judged must be at least 1, and --products at least 0")
    with tempfile.TemporaryDirectory(prefix="shopsight-bench-") as folder, _alone():
        figures = _measured(given, Path(folder))
    if given.json:
        print_json(_as_json(figures))
    else:
        _print(figures)


def _measured(given: Any, folder: Path) -> Figures:
    from shopsight.search.searcher import Searcher
    from shopsight.search.snapshot import Snapshot

    started = time.perf_counter()
    path = Path(given.index) if given.index else _small_index(folder, given.seed)
    if given.products:
        from shopsight.bench.synthetic_index import build_synthetic_index

        out, started = Path(given.folder or folder / "grown"), time.perf_counter()
        if not (out / "index.json").exists():
            with progress_bar(quiet=given.quiet or given.json) as bar:
                build_synthetic_index(
                    Snapshot.current(path), given.products, out, given.seed, progress_callback(bar)
                )
        path = out
    built = time.perf_counter() - started
    snapshot = Snapshot.current(path)
    parts = snapshot.generation.segments
    kind = ", ".join(sorted({str(one.faiss["kind"]) for one in parts}))
    figures = Figures(snapshot.generation.products, kind, built)
    clock = time.thread_time if given.clock == "cpu" else time.perf_counter
    searcher = Searcher.open(path, clock=clock)
    opened = _resident()
    queries = _queries(searcher, given)
    figures.share = _share(searcher, snapshot, queries)
    _time(searcher, snapshot, queries, figures)
    figures.sizes = _sizes(snapshot)
    if given.data:
        figures.values = _values(searcher, snapshot, given)
    figures.memory = (opened, _highest())
    searcher.close()
    return figures


def _small_index(folder: Path, seed: int) -> Path:
    """The index of a small world and hardly trained models, as quick as those of good ones."""
    from shopsight.config.recipes import load_recipe
    from shopsight.demo.world import make_world
    from shopsight.inference.run_folder import RunFolder
    from shopsight.prepare.kddcup.ingest import prepare_kddcup
    from shopsight.search.index import build_index
    from shopsight.training.pipeline import train

    world = WorldConfig(
        train_rows=1_500,
        train_products=800,
        eval_queries=40,
        eval_products=300,
        feature_width=64,
        seed=seed,
    )
    make_world(folder / "raw", world)
    data = prepare_kddcup(folder / "raw", folder / "data")
    short = [f"{name}.train.epochs=1" for name in model_names()]
    train(data, load_recipe("tiny", [*short, "dual.phase2_epochs=0"]), folder / "run")
    build_index(RunFolder.read(folder / "run"), data, folder / "index")
    return folder / "index"


def _queries(searcher: Searcher, given: Any) -> list[str]:
    held = searcher.sample()
    if not held:
        raise UsageError("the index holds no queries of a training split to measure with")
    return [held[i % len(held)] for i in range(given.queries)]


def _share(searcher: Searcher, snapshot: Snapshot, queries: list[str]) -> float:
    from shopsight.search.retrievers.faiss import exact, overlap

    vectors = searcher.query_vectors(list(dict.fromkeys(queries))[:_RECALLED])
    rows = np.flatnonzero(snapshot.alive)
    wanted, _ = exact(vectors, rows, snapshot.vectors, min(_RECALLED, len(rows)))
    found, _ = snapshot.nearest(vectors, _RECALLED, snapshot.allowed([]))
    return overlap(found, wanted)


def _time(searcher: Searcher, snapshot: Snapshot, queries: list[str], figures: Figures) -> None:
    """One query after the other, each at every depth; the first few only warm up."""
    warm = queries[:_WARM]
    for i, query in enumerate([*warm, *queries]):
        for depth in _DEPTHS:
            if depth > figures.products and depth != _DEPTHS[0]:
                continue
            seconds = searcher.search(query, 5, candidates=depth).seconds
            if i < len(warm):
                continue
            for stage in ("encode", "retrieve") if depth == _RECALLED else ():
                figures.times[stage].append(1000 * seconds[stage])
            figures.times[f"rank {depth} again"].append(1000 * seconds["rerank"])
            if depth == _RECALLED:
                figures.times[f"all, depth {depth}"].append(1000 * sum(seconds.values()))
    flags = [one for one in snapshot.facets if one.kind in ("flag", "choice") and one.values]
    for one in flags[:1]:
        value = next(iter(one.values))
        for query in queries:
            found = searcher.search(query, 5, rerank=False, filters={one.name: value})
            figures.times[f"recall where {one.name}={value}"].append(
                1000 * found.seconds["retrieve"]
            )


def _values(searcher: Searcher, snapshot: Snapshot, given: Any) -> dict[str, float]:
    """nDCG@5 over the full catalogue; what no answer names counts as wrong."""
    from shopsight.data.dataset import PreparedData
    from shopsight.inference.evaluate import HEADLINE
    from shopsight.metrics.evaluate import Evaluator
    from shopsight.types import Qrels, Run

    data = PreparedData.open(given.data)
    qrels, table = data.qrels(given.split), data.queries(given.split)
    judged = dict(list(qrels.relevance.items())[: given.judged])
    ways: dict[str, dict[str, Any]] = {"recall only": {"rerank": False}}
    ways |= {f"depth {depth}": {"candidates": depth} for depth in _DEPTHS}
    ways["every product"] = {"candidates": snapshot.generation.products}
    values = {}
    for name, how in ways.items():
        found = {
            query: {hit.product_id: hit.score for hit in searcher.search(text, 10, **how).hits}
            for query, text in zip(table.ids, table.texts, strict=True)
            if query in judged
        }
        values[name] = float(
            Evaluator(Qrels(judged)).per_query(Run.from_dict(found), HEADLINE).mean()
        )
    return values


def _sizes(snapshot: Snapshot) -> dict[str, int]:
    sizes: dict[str, int] = defaultdict(int)
    for name, entry in snapshot.generation.files.items():
        sizes[_what(name)] += entry["bytes"]
    return dict(sorted(sizes.items(), key=lambda one: -one[1]))


def _what(path: str) -> str:
    """What a file of an index is for."""
    name = path.rpartition("/")[2]
    if not path.startswith("segment-"):
        return "models" if path.startswith(("models", "extractor")) else "records"
    if name == "vectors.faiss":
        return "recall"
    if name.startswith("photo"):
        return "photos"
    if name in ("features.npy", "boxes.npy", "offsets.npy"):
        return "regions"
    codes = name.split(".")
    return f"codes of {codes[0]}" if len(codes) > 2 else "records"


def _as_json(figures: Figures) -> dict[str, Any]:
    return {
        "products": figures.products,
        "recall": figures.kind,
        "seconds_built": figures.built,
        f"recall@{_RECALLED}": figures.share,
        "milliseconds": {
            name: {"p50": _at(one, 50), "p99": _at(one, 99)} for name, one in figures.times.items()
        },
        "bytes": figures.sizes,
        "memory_mib": {"opened": figures.memory[0], "highest": figures.memory[1]},
        "ndcg@5": figures.values,
    }


def _print(figures: Figures) -> None:
    rows = [
        (name, f"{_at(one, 50):,.1f}", f"{_at(one, 99):,.1f}")
        for name, one in figures.times.items()
    ]
    note = (
        f"{pluralise(figures.products, 'product')}, recall index {figures.kind}; it finds"
        f" {figures.share:.2%} of the {_RECALLED} truly nearest. Made in {figures.built:,.0f} s."
        f" Memory {figures.memory[0]:,.0f} MiB after opening, {figures.memory[1]:,.0f} at most."
    )
    print_grid(Grid(("milliseconds, one core", "p50", "p99"), tuple(rows), note))
    total = sum(figures.sizes.values())
    sizes = [
        (name, f"{size / 2**20:,.1f}", f"{size / max(figures.products, 1):,.0f}")
        for name, size in [*figures.sizes.items(), ("all", total)]
    ]
    print_grid(Grid(("on disk", "MiB", "bytes a product"), tuple(sizes)))
    if figures.values:
        values = [(name, f"{value:.4f}") for name, value in figures.values.items()]
        print_grid(Grid(("over the full catalogue", "ndcg@5"), tuple(values)))


def _at(values: list[float], percent: float) -> float:
    return float(np.percentile(values, percent))


def _resident() -> float:
    """MiB that this process holds in memory now, where the system says."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return _highest()
    return pages * resource.getpagesize() / 2**20


def _highest() -> float:
    """MiB that this process held at most."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10


@contextmanager
def _alone() -> Iterator[None]:
    """One thread in every library, and as before afterwards."""
    import torch

    from shopsight.search.retrievers.faiss import faiss_module

    faiss = faiss_module()
    before = torch.get_num_threads(), faiss.omp_get_max_threads()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        faiss.omp_set_num_threads(before[1])
