#!/usr/bin/env python
"""Compare the scores of run folders with ``recipes/expected.yaml``.

    python scripts/check_expected.py RECIPE DATA RUN [RUN ...]

Prints a line for each score and exits with 1 if one is missing, or further from what is expected
than the tolerance. Runs after the first count where the file says "SCORE, seed N".
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml

from shopsight.data.dataset import PreparedData
from shopsight.formats.runs import read_run
from shopsight.metrics.evaluate import evaluate

EXPECTED = Path(__file__).parent.parent / "recipes" / "expected.yaml"


def main(recipe: str, data: str, *runs: str) -> int:
    """Print the comparison; returns the exit code."""
    expected = yaml.safe_load(EXPECTED.read_text())[recipe]
    qrels = PreparedData.open(data).qrels(expected["split"])
    found: dict[str, float] = {}
    for number, run in enumerate(map(Path, runs)):
        seed = json.loads((run / "run.json").read_text())["recipe"]["seed"]
        for path in sorted((run / "runs").glob(f"{expected['split']}-*.json")):
            name = path.stem.partition("-")[2]
            name += f", seed {seed}" if number else ""
            found[name] = evaluate(read_run(path), qrels).estimates[expected["metric"]].mean
    good = True
    for name, score in expected["scores"].items():
        got = found.get(name)
        near = got is not None and abs(got - score) <= expected["tolerance"]
        good &= near
        print(f"{'ok ' if near else 'BAD'}  {name:24}  expected {score:.4f}  found {got}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
