"""Training through the front door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import shopsight as ss


def test_existing_run(trained: tuple[Path, str], small_data: Path, quick_recipe: Path) -> None:
    with pytest.raises(ss.ShopsightError, match="--resume"):
        ss.train(small_data, quick_recipe, trained[0])
    with pytest.raises(ss.ShopsightError, match="unknown setting 'devise'"):
        ss.train(small_data, quick_recipe, trained[0], devise="cpu")


def test_train_a_model(small_data: Path, quick_recipe: Path, tmp_path: Path) -> None:
    steps: list[str] = []
    changes = ["label_match.train.epochs=1"]
    ranker = ss.train(
        small_data,
        quick_recipe,
        tmp_path / "run",
        changes,
        ["label-match"],
        seed=4,
        threads=1,
        log=lambda name, result: steps.append(name),
    )
    assert "label-match" in steps
    recipe = json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]
    assert (recipe["seed"], recipe["label_match"]["train"]["epochs"]) == (4, 1)
    assert ranker.results is not None
    # With a single model, "ensemble" means that model.
    assert ranker.rank(small_data, "valid").name == "label-match"
