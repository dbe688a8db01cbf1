"""The expected scores of the recipes, and the script that compares with them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from shopsight.config import Recipe
from shopsight.config.recipes import recipe_names
from shopsight.data.dataset import PreparedData
from shopsight.formats.runs import write_run
from shopsight.inference.evaluate import random_run
from shopsight.inference.run_folder import RunFolder
from shopsight.metrics.evaluate import evaluate
from shopsight.prepare.kddcup.ingest import prepare_kddcup


@pytest.fixture(scope="module")
def data(small_world, tmp_path_factory) -> PreparedData:
    return prepare_kddcup(small_world, tmp_path_factory.mktemp("data") / "data")


def test_expected_scores_belong_to_recipes(repository: Path) -> None:
    expected = yaml.safe_load((repository / "recipes/expected.yaml").read_text())
    assert set(expected) <= set(recipe_names())
    for entry in expected.values():
        assert len(entry["scores"]) >= 6
        assert all(0 < score < 1 for score in entry["scores"].values())


@pytest.mark.parametrize(("error", "code"), [(0.0, 0), (0.1, 1)])
def test_script_compares_scores(repository, data, tmp_path, error, code):
    run = RunFolder.open(tmp_path / "run", Recipe(seed=3), data)
    (run.path / "runs").mkdir()
    random = random_run(data.pools("valid"), 0)
    write_run(random, run.path / "runs" / "valid-random.json")
    score = evaluate(random, data.qrels("valid")).estimates["ndcg@5"].mean
    script = tmp_path / "scripts" / "check_expected.py"
    script.parent.mkdir()
    script.write_text((repository / "scripts/check_expected.py").read_text())
    (tmp_path / "recipes").mkdir()
    scores = {"random": score + error, "random, seed 3": score}
    expected = {"split": "valid", "metric": "ndcg@5", "tolerance": 0.01, "scores": scores}
    (tmp_path / "recipes" / "expected.yaml").write_text(json.dumps({"tiny": expected}))
    command = [sys.executable, script, "tiny", data.path, run.path, run.path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert done.stdout.count("ok ") == 2 - code
    assert done.stdout.count("BAD") == code
