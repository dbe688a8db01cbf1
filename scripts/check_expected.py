#!/usr/bin/env python
"""Compare the scores of run folders with ``recipes/expected.yaml``.

    python scripts/check_expected.py RECIPE DATA RUN [RUN ...]

Prints a line for each expected score. Exits with 1 if a score is missing or differs by more than
the tolerance. Scores of the runs after the first are compared with the entries "NAME, seed N".
For a recipe without expected scores it prints the measured ones, and exits with 0.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from shopsight.data.dataset import PreparedData
from shopsight.formats.runs import read_run
from shopsight.inference.run_folder import RunFolder
from shopsight.metrics.evaluate import evaluate

ANY = {"split": "valid", "metric": "ndcg@5", "tolerance": 0.0, "scores": {}}
EXPECTED = Path(__file__).parent.parent / "recipes" / "expected.yaml"


def main(recipe: str, data: str, *runs: str) -> int:
    """Print the comparison and return the exit code."""
    expected = yaml.safe_load(EXPECTED.read_text()).get(recipe, ANY)
    qrels = PreparedData.open(data).qrels(expected["split"])
    scores: dict[str, float] = {}
    for number, run in enumerate(map(Path, runs)):
        seed = RunFolder.read(run).recipe.seed
        for path in sorted((run / "runs").glob(f"{expected['split']}-*.json")):
            name = path.stem.partition("-")[2]
            name += f", seed {seed}" if number else ""
            scores[name] = evaluate(read_run(path), qrels).estimates[expected["metric"]].mean
    if not expected["scores"]:
        print(f"no expected scores of recipe {recipe}; measured {expected['metric']}:")
        print("\n".join(f"     {name:24}  {score:.4f}" for name, score in scores.items()))
    passed = True
    for name, score in expected["scores"].items():
        measured = scores.get(name)
        close = measured is not None and abs(measured - score) <= expected["tolerance"]
        passed &= close
        print(f"{'ok ' if close else 'BAD'}  {name:24}  expected {score:.4f}  measured {measured}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
