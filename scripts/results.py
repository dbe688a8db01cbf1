#!/usr/bin/env python
"""Write ``docs/results.md`` from the committed summaries in ``recipes/summaries``.

    python scripts/results.py                     write the page
    python scripts/results.py add NAME RUN        take the summary of a trained run folder
    python scripts/results.py competition FOLDER  evaluate the competition's real score files

The page holds no figure that is not in a summary; ``scripts/results.md.jinja`` is its text. ``add``
also updates the scores of ``recipes/expected.yaml`` that name the summary.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import shopsight as ss

ROOT = Path(__file__).parent.parent
SUMMARIES = ROOT / "recipes" / "summaries"
EXPECTED = ROOT / "recipes" / "expected.yaml"
PAGE = ROOT / "docs" / "results.md"
_NORMALISATIONS = ("none", "minmax", "zscore", "rank")


def page() -> str:
    """The page of results."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters.update(figure=figure, gap=gap, weights=weights, duration=duration)
    runs = {path.stem: json.loads(path.read_text()) for path in sorted(SUMMARIES.glob("*.json"))}
    competition = runs.pop("competition")
    return environment.get_template("results.md.jinja").render(
        runs=runs,
        competition=competition,
        shops=[name for name in runs if name.startswith("small-shop")],
    )


def add(name: str, run: str) -> None:
    """Keep the summary of a run folder, without its slices, as ``NAME.json``."""
    summary = json.loads((Path(run) / "summary.json").read_text())
    summary.pop("slices", None)
    write(name, summary)
    scores = scores_of(summary)
    for recipe, entry in yaml.safe_load(EXPECTED.read_text()).items():
        if entry.get("summary") == name:
            EXPECTED.write_text(updated(EXPECTED.read_text(), recipe, scores))


def scores_of(summary: dict[str, Any]) -> dict[str, float]:
    """The scores of a summary, under the names of the run files."""
    scores = {model: row["valid"]["mean"] for model, row in summary["models"].items()}
    for model, row in summary["models"].items():
        if row["in_sample"]:
            scores[model] = row["in_sample"]["mean"]
            scores[f"{model}-held-out"] = row["valid"]["mean"]
    return scores


def updated(text: str, recipe: str, scores: dict[str, float]) -> str:
    """The expected scores of a recipe replaced; names that it does not list are left out."""
    head, start, rest = text.partition(f"\n{recipe}:\n")
    body, following, tail = re.match(r"(.*?)(\n(?=\S)|\Z)(.*)", rest, re.S).groups()

    def line(match: re.Match[str]) -> str:
        name = match[2]
        return f"{match[1]}{name}: {scores[name]:.4f}" if name in scores else match[0]

    body = re.sub(r"^(    )([^:\n]+): [0-9.]+$", line, body, flags=re.M)
    return head + start + body + following + tail


def competition(folder: str) -> None:
    """Evaluate, re-rank, fuse and audit the score files of four models of KDD Cup 2020."""
    qrels = ss.read_qrels(Path(folder) / "valid_answer.json")
    paths = sorted((Path(folder) / "scores").glob("valid_*"))
    best = next(path for path in paths if "imagebert" in path.name)

    def score(run: Any) -> dict[str, Any]:
        return ss.evaluate(run, qrels, "ndcg@5").to_dict()["ndcg@5"]

    fused = {}
    for method in ("forward", "coordinate"):
        for normalise in _NORMALISATIONS:
            run = ss.fuse(paths, qrels, method=method, normalise=normalise)
            fused[f"{method}, {normalise}"] = run.fusion.to_dict()
    audit = ss.audit(best, qrels).to_dict()
    summary = {
        "best": score(best),
        "exclusive": score(ss.rerank(best)),
        "margin": score(ss.rerank(best, margin=0.92)),
        "fused": {
            name: {kind: fusion[kind]["mean"] for kind in ("in_sample", "held_out")}
            for name, fusion in fused.items()
        },
        "rrf": score(ss.fuse(paths, method="rrf")),
        "leak": {name: audit["leak"][name] for name in ("count_only", "random")},
    }
    write("competition", summary)


def write(name: str, summary: dict[str, Any]) -> None:
    """Write ``NAME.json``."""
    SUMMARIES.mkdir(exist_ok=True)
    text = json.dumps(summary, indent=1, ensure_ascii=False)
    (SUMMARIES / f"{name}.json").write_text(text + "\n")


def figure(estimate: dict[str, Any] | None) -> str:
    """A mean with its interval.

    >>> figure({"mean": 0.5, "low": 0.25, "high": 0.75})
    '0.5000 [0.250, 0.750]'
    """
    if not estimate:
        return ""
    return f"{estimate['mean']:.4f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def gap(difference: dict[str, Any] | None) -> str:
    """A paired difference with its interval and p-value."""
    if not difference:
        return ""
    estimate, p_value = difference["estimate"], difference["p_value"]
    test = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    low, high = estimate["low"], estimate["high"]
    return f"{estimate['mean']:+.4f} [{low:+.3f}, {high:+.3f}], {test}"


def weights(ensemble: dict[str, Any]) -> str:
    """Members with their weights."""
    return ", ".join(f"{weight:.2f} {name}" for name, weight in ensemble["weights"].items())


def duration(seconds: float) -> str:
    """Seconds in readable units."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def main(command: str = "", *arguments: str) -> None:
    """Run a command, then write the page."""
    if command == "add":
        add(*arguments)
    elif command == "competition":
        competition(*arguments)
    elif command:
        sys.exit(__doc__)
    PAGE.write_text(page())


if __name__ == "__main__":
    main(*sys.argv[1:])
