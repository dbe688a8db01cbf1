"""``shopsight demo``: the whole way, raw files to trained models, on a small built-in world."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shopsight.catalogue.data import PreparedData
from shopsight.catalogue.ingest import prepare_kddcup
from shopsight.catalogue.synthetic import make_world
from shopsight.cli.output import print_grid, print_json
from shopsight.cli.parser import Parser
from shopsight.cli.steps import Steps
from shopsight.config import STAGES, EvaluateConfig, WorldConfig
from shopsight.errors import OutputError
from shopsight.metrics.evaluate import bootstrap_interval
from shopsight.ranking.audit import audit
from shopsight.ranking.centroids import Vectors, pooled, score_pools, word_centroids
from shopsight.recipes import load_recipe
from shopsight.reports.tables import comparison_grid
from shopsight.text.normalise import words
from shopsight.text.stopwords import stop_words
from shopsight.types import Run

if TYPE_CHECKING:
    from shopsight.training.pipeline import Results

BASELINE = "word-centroids"
MARKER = ".shopsight-demo"
_PAIRS_AT_ONCE = 1024


def run(command: str, arguments: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight demo`` with the words that follow it."""
    parser = Parser(
        "demo",
        "The whole way on a small built-in world, in a few minutes: draw up a catalogue whose truth"
        " is known, prepare it, audit its candidate pools, train every model, rank, fuse, compare,"
        " and write runs, a submission and a report.",
        ["demo", "demo --out /tmp/demo --seed 1", "demo --json"],
    )
    parser.add_argument("--out", metavar="DIR", default="demo", help="where everything goes")
    parser.add_json()
    given = parser.read(arguments)
    out = Path(given.out)
    _claim(out)
    silent = given.quiet or given.json
    steps = Steps(silent=silent)
    data = _prepared(out, given.seed, steps)
    results, page = _trained(out, data, given.seed, steps, quiet=silent)
    if given.json:
        from shopsight.cli.train import results_json

        print_json(results_json(results, page))
        return
    print()
    print_grid(comparison_grid(results.comparison, EvaluateConfig.confidence))
    print("\n".join(["Try next:", *(f"  {line}" for line in commands(out)), ""]))
    print(f"Report: {page.resolve()}")


def _claim(out: Path) -> None:
    """Mark the folder as a demo's. One that holds other things is not ours to write over."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: a file is in the way; choose another --out")
    if out.exists() and any(out.iterdir()) and not (out / MARKER).is_file():
        raise OutputError(f"{out} exists and is no demo folder; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()  # first of all, so that a demo that was cut off can be run again


def _prepared(out: Path, seed: int, steps: Steps) -> PreparedData:
    config = WorldConfig(seed=seed)
    make_world(out / "raw", config)
    steps.done("world", f"{config.train_rows:,} clicks drawn up as raw files: {out / 'raw'}")
    data = prepare_kddcup(out / "raw", out / "data", force=True)
    steps.done("prepare", f"{data.summary['products']:,} products stored once: {out / 'data'}")
    audited = audit(data.pools("valid"), data.answers("valid"), bootstrap_interval)
    steps.done("audit", audited.verdict)
    return data


def _trained(
    out: Path, data: PreparedData, seed: int, steps: Steps, quiet: bool
) -> tuple[Results, Path]:
    from shopsight.cli.train import train_and_report

    _forget(out / "run")
    truth = json.loads((out / "raw" / "truth.json").read_text())["valid"]["products"]
    found = train_and_report(
        data,
        load_recipe("tiny", [f"seed={seed}"]),
        list(STAGES),
        out / "run",
        steps,
        quiet=quiet,
        baselines={BASELINE: centroid_run(data, "valid")},
        title="A small world, ranked",
        note=lambda product: _described(truth[product]),
        page=out / "report.html",
    )
    assert found is not None, "the demo is one process"
    return found


def _forget(folder: Path) -> None:
    """Remove an earlier demo's run; only what is one."""
    if (folder / "run.json").is_file():
        from shutil import rmtree

        rmtree(folder)


def centroid_run(data: PreparedData, split: str) -> Run:
    """The ranking by word centroids: no neural network, and what every model has to beat.

    Args:
        data: the prepared folder.
        split: what is ranked.
    """
    pools, queries = data.pools(split), data.queries(split)
    learned = word_centroids(_clicks(data))
    texts = dict(zip(queries.ids, queries.texts, strict=True))
    stored = data.store.index_of(pools.product_ids.tolist())
    products, row = np.unique(stored, return_inverse=True)
    regions = data.store.read(products)
    vectors = pooled(regions.features, regions.lengths, "max")
    tokens = [_tokens(texts[query]) for query in pools.query_ids]
    return score_pools(learned, pools, tokens, vectors, row, BASELINE)


def _clicks(data: PreparedData) -> Iterator[tuple[list[list[str]], Vectors]]:
    tokens = [_tokens(text) for text in data.queries("train").texts]
    pairs = data.pairs("train")
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        regions = data.store.read(pairs.products[part])
        asked = [tokens[query] for query in pairs.queries[part].tolist()]
        yield asked, pooled(regions.features, regions.lengths, "max")


def _tokens(text: str) -> list[str]:
    return [word for word in words(text) if word not in stop_words()]


def _described(attributes: dict[str, str]) -> str:
    """A product in words, its type last.

    >>> _described({"type": "dress", "colour": "red", "material": "silk"})
    'red silk dress'
    """
    others = (value for kind, value in attributes.items() if kind != "type")
    return " ".join([*others, attributes["type"]])


def commands(out: Path) -> list[str]:
    """Command lines to try on what a demo left.

    Args:
        out: the demo's folder.
    """
    folder = f"./{out}" if str(out).startswith("-") else str(out)

    def quoted(path: str) -> str:
        return shlex.quote(f"{folder}/{path}")

    answers, run, data = quoted("raw/valid/valid_answer.json"), quoted("run"), quoted("data")
    runs = [quoted(f"run/runs/valid-{name}.json") for name in ("word-match", "dual")]
    return [
        f"shopsight describe {run} {data} --split valid",
        f"shopsight rank {run} {data} --split testA --model dual --out dual.json",
        f"shopsight fuse {' '.join(runs)} --normalise zscore --answers {answers} --out fused.json",
        "shopsight prepare kddcup RAW --out DATA   # your own competition files",
        "shopsight train DATA --recipe fashion --out RUN",
    ]
