"""``shopsight demo``: the whole way, from raw files to a report, on a small built-in world."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from shopsight.catalogue.data import PreparedData
from shopsight.catalogue.ingest import prepare_kddcup
from shopsight.catalogue.synthetic import make_world
from shopsight.cli.output import print_grid, print_json
from shopsight.cli.parser import Parser
from shopsight.config import EvaluateConfig, FusionConfig, WorldConfig
from shopsight.errors import OutputError
from shopsight.formats.runs import write_run
from shopsight.formats.submission import write_submission
from shopsight.metrics.evaluate import Judge, bootstrap_interval
from shopsight.metrics.significance import Comparison, compare
from shopsight.ranking.audit import Audit, audit
from shopsight.ranking.centroids import (
    Vectors,
    WordCentroids,
    pooled,
    score_pools,
    word_centroids,
)
from shopsight.ranking.fusion import fuse
from shopsight.ranking.weights import fit_weights
from shopsight.reports.dataset import dataset_figures, split_grid
from shopsight.reports.page import FusionCurve, Report, write_page
from shopsight.reports.stories import Narrator, best_and_worst
from shopsight.reports.tables import comparison_grid
from shopsight.text.normalise import words
from shopsight.text.stopwords import stop_words
from shopsight.types import Pools, Qrels, Run

How = Literal["mean", "max"]
MARKER = ".shopsight-demo"
HEADLINE = EvaluateConfig.metrics[0]
_PAIRS_AT_ONCE = 1024
_MODELS = {
    "random": "no model: the candidates in random order",
    "words-mean": "word centroids over the mean of a product's regions; no neural network",
    "words-max": "word centroids over the maximum of a product's regions; no neural network",
}


def run(command: str, arguments: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight demo`` with the words that follow it."""
    parser = Parser(
        "demo",
        "The whole way on a small built-in world, under a minute: draw up a catalogue whose truth"
        " is known, prepare it, audit its candidate pools, rank them, fuse, compare, and write"
        " runs, a submission and a report.",
        ["demo", "demo --out /tmp/demo --seed 1", "demo --json"],
    )
    parser.add_argument("--out", metavar="DIR", default="demo", help="where everything goes")
    parser.add_json()
    given = parser.read(arguments)
    out = Path(given.out)
    _claim(out)
    steps = _Steps(silent=given.quiet or given.json)

    config = WorldConfig(seed=given.seed)
    make_world(out / "raw", config)
    steps.done("world", f"{config.train_rows:,} clicks drawn up as raw files: {out / 'raw'}")

    data = prepare_kddcup(out / "raw", out / "data", force=True)
    steps.done("prepare", f"{data.summary['products']:,} products stored once: {out / 'data'}")

    qrels = _answers(data, "valid")
    audited = audit(data.pools("valid"), qrels, bootstrap_interval)
    steps.done("audit", audited.verdict)

    valid = _baselines(data, "valid", given.seed)
    steps.done("rank", f"{len(valid)} baselines over {len(valid['random'].scores):,} pairs")

    curve = _fusion(valid, qrels, given.seed)
    weight = curve.weights[curve.chosen]
    valid["fused"] = _fused(valid, weight)
    steps.done("fuse", f"{weight:.2f} {curve.first} + {1 - weight:.2f} {curve.second}")

    comparison = compare(list(valid.values()), qrels, seed=given.seed)
    steps.done("compare", f"paired tests of {len(valid)} rankings")

    test = _baselines(data, "testA", given.seed)
    test["fused"] = _fused(test, weight)
    unseen = float(Judge(_answers(data, "testA")).values(test["fused"], HEADLINE).mean())
    _write_runs(out, valid, test, data.pools("testA"))
    steps.done("submit", f"testA, which nothing was fitted to: {HEADLINE} {unseen:.4f}")

    page = out / "report.html"
    report = _report(out, data, audited, comparison, curve, valid["fused"], qrels, unseen, steps)
    write_page(report, page)
    steps.done("report", str(page))
    if given.json:
        print_json(_as_json(page, comparison, curve, audited, unseen))
        return
    print()
    print_grid(comparison_grid(comparison, EvaluateConfig.confidence))
    print("\n".join(["Try next:", *(f"  {line}" for line in _commands(out)), ""]))
    print(f"Report: {page.resolve()}")


class _Steps:
    """Says what was done, and how long it took."""

    def __init__(self, silent: bool) -> None:
        self.taken: list[tuple[str, float]] = []
        self._silent, self._since = silent, time.perf_counter()

    def done(self, name: str, sentence: str) -> None:
        now = time.perf_counter()
        self.taken.append((name, now - self._since))
        self._since = now
        if not self._silent:
            print(f"{self.taken[-1][1]:5.1f} s  {name:<8} {sentence}", flush=True)


def _claim(out: Path) -> None:
    """Mark the folder as a demo's. One that holds other things is not ours to write over."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: a file is in the way; choose another --out")
    if out.exists() and any(out.iterdir()) and not (out / MARKER).is_file():
        raise OutputError(f"{out} exists and is no demo folder; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()  # first of all, so that a demo that was cut off can be run again


def _answers(data: PreparedData, split: str) -> Qrels:
    qrels = data.answers(split)
    assert qrels is not None, "the small world has answers to every evaluation split"
    return qrels


def _baselines(data: PreparedData, split: str, seed: int) -> dict[str, Run]:
    """Random order and the two rankings by word centroids, by name."""
    pools = data.pools(split)
    order = np.random.default_rng(seed).random(len(pools.product_ids))
    runs = {"random": Run(pools, order, "random")}
    hows: tuple[How, ...] = ("mean", "max")
    for how in hows:
        learned = word_centroids(_clicks(data, how))
        runs[f"words-{how}"] = _rank(data, split, pools, learned, how)
    return runs


def _clicks(data: PreparedData, how: How) -> Iterator[tuple[list[list[str]], Vectors]]:
    tokens = [_tokens(text) for text in data.queries("train").texts]
    pairs = data.pairs("train")
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        regions = data.store.read(pairs.products[part])
        asked = [tokens[query] for query in pairs.queries[part].tolist()]
        yield asked, pooled(regions.features, regions.lengths, how)


def _rank(data: PreparedData, split: str, pools: Pools, learned: WordCentroids, how: How) -> Run:
    queries = data.queries(split)
    texts = dict(zip(queries.ids, queries.texts, strict=True))
    stored = data.store.index_of(pools.product_ids.tolist())
    products, row = np.unique(stored, return_inverse=True)
    regions = data.store.read(products)
    vectors = pooled(regions.features, regions.lengths, how)
    tokens = [_tokens(texts[query]) for query in pools.query_ids]
    return score_pools(learned, pools, tokens, vectors, row, f"words-{how}")


def _tokens(text: str) -> list[str]:
    return [word for word in words(text) if word not in stop_words()]


def _fused(runs: dict[str, Run], weight: float) -> Run:
    return fuse([runs["words-mean"], runs["words-max"]], [weight, 1 - weight])


def _fusion(runs: dict[str, Run], qrels: Qrels, seed: int) -> FusionCurve:
    """The reference's grid search, the curve it walked along, and its honest figure."""
    judge = Judge(qrels)
    config = FusionConfig(method="grid")
    members = [runs["words-mean"], runs["words-max"]]
    found = fit_weights(members, lambda one: judge.values(one, HEADLINE), config, seed)
    weights = tuple(step / config.steps for step in range(config.steps + 1))
    return FusionCurve(
        first="words-mean",
        second="words-max",
        metric=HEADLINE,
        weights=weights,
        means=tuple(float(judge.values(_fused(runs, w), HEADLINE).mean()) for w in weights),
        chosen=weights.index(found.weights[0]),
        held_out=float(found.held_out.mean()),
    )


def _write_runs(out: Path, valid: dict[str, Run], test: dict[str, Run], pools: Pools) -> None:
    (out / "runs").mkdir(exist_ok=True)
    for split, runs in ("valid", valid), ("testA", test):
        for name, one in runs.items():
            write_run(one, out / "runs" / f"{split}-{name}.json")
    write_submission(test["fused"], out / "submission.csv", pools)


def _report(
    out: Path,
    data: PreparedData,
    audited: Audit,
    comparison: Comparison,
    curve: FusionCurve,
    judged: Run,
    qrels: Qrels,
    unseen: float,
    steps: _Steps,
) -> Report:
    truth = json.loads((out / "raw" / "truth.json").read_text())["valid"]["products"]
    narrator = Narrator(data, "valid", judged, qrels, lambda product: _described(truth[product]))
    evaluation = comparison.evaluations[-1]
    values = dict(zip(evaluation.query_ids, evaluation.values[HEADLINE].tolist(), strict=True))
    best, worst = best_and_worst(evaluation, HEADLINE, narrator.texts)
    weight = curve.weights[curve.chosen]
    return Report(
        title="A small world, ranked",
        summary="Shoppers' queries against product photos, on a catalogue drawn up with known"
        f" truth. The best ranking here reaches {HEADLINE}"
        f" {max(one.estimates[HEADLINE].mean for one in comparison.evaluations):.3f} on valid, and"
        f" {unseen:.3f} on testA, to which nothing was fitted.",
        figures=dataset_figures(data.summary),
        splits=split_grid(data.summary),
        audit=audited,
        comparison=comparison,
        models={
            **_MODELS,
            "fused": f"{weight:.2f} {curve.first} + {1 - weight:.2f} {curve.second}; the weight"
            " was fitted to these queries",
        },
        fusion=curve,
        judged=judged.name,
        best=[narrator.tell(query, values[query]) for query in best],
        worst=[narrator.tell(query, values[query]) for query in worst],
        stages=steps.taken,
        commands=_commands(out),
    )


def _described(attributes: dict[str, str]) -> str:
    """A product in words, its type last.

    >>> _described({"type": "dress", "colour": "red", "material": "silk"})
    'red silk dress'
    """
    others = (value for kind, value in attributes.items() if kind != "type")
    return " ".join([*others, attributes["type"]])


def _commands(out: Path) -> list[str]:
    folder = f"./{out}" if str(out).startswith("-") else str(out)

    def quoted(path: str) -> str:
        return shlex.quote(f"{folder}/{path}")

    answers = quoted("raw/valid/valid_answer.json")
    mean, best = quoted("runs/valid-words-mean.json"), quoted("runs/valid-words-max.json")
    return [
        f"shopsight evaluate {best} --answers {answers}",
        f"shopsight fuse {mean} {best} --normalise zscore --answers {answers} --out fused.json",
        f"shopsight audit {quoted('data')} --answers {answers}",
        "shopsight prepare kddcup RAW --out DATA   # your own competition files",
    ]


def _as_json(
    page: Path, comparison: Comparison, curve: FusionCurve, audited: Audit, unseen: float
) -> dict[str, Any]:
    weight = curve.weights[curve.chosen]
    return {
        "report": str(page),
        "models": {one.name: one.estimates for one in comparison.evaluations},
        "fusion": {
            "weights": {curve.first: weight, curve.second: 1 - weight},
            "held_out": curve.held_out,
        },
        "audit": {"verdict": audited.verdict, "leaks": audited.leak and audited.leak.leaks},
        f"testA {HEADLINE}": unseen,
    }
