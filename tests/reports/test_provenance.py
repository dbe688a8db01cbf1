"""Provenance: the recipe as a difference, data as a fingerprint, machine and command."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from shopsight import __version__
from shopsight.config.recipes import load_recipe, recipe_names
from shopsight.data.dataset import PreparedData
from shopsight.inference.run_folder import RunFolder
from shopsight.prepare.kddcup.ingest import prepare_kddcup
from shopsight.reports.provenance import fingerprint, provenance, recipe_difference


@pytest.mark.parametrize("name", recipe_names())
def test_a_built_in_recipe_differs_from_itself_in_nothing(name: str) -> None:
    assert recipe_difference(load_recipe(name)) == (name, {})
    free = replace(load_recipe(name), seed=9, threads=3)
    assert recipe_difference(free) == (name, {})


def test_changes_are_named_with_both_values() -> None:
    recipe = load_recipe("tiny", ["word_match.margin=0.7", "dual.train.epochs=2"])
    base, changes = recipe_difference(recipe)
    assert base == "tiny"
    assert set(changes) == {"word_match.margin", "dual.train.epochs"}
    assert changes["word_match.margin"].endswith("→ 0.7")


def test_a_run_folder_tells_where_it_comes_from(
    small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data: PreparedData = prepare_kddcup(small_world, tmp_path / "data")
    folder = RunFolder.open(tmp_path / "run", replace(load_recipe("tiny"), seed=4), data)
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/shopsight", "train", "my data"])
    facts = provenance(folder)
    assert (facts["recipe"], facts["seed"], facts["version"]) == ("tiny", 4, __version__)
    assert facts["command"] == "shopsight train 'my data'"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", facts["date"])
    assert "cores" in facts["machine"]
    assert facts["data"] == fingerprint(folder.manifest["files"])
    changed = {**folder.manifest["files"], "boxes.npy": {"bytes": 1}}
    assert fingerprint(changed) != facts["data"]
