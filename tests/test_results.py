"""The page of results: written from committed summaries, like the expected scores."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml


@pytest.fixture
def results(repository: Path) -> ModuleType:
    """The script."""
    spec = importlib.util.spec_from_file_location("results", repository / "scripts/results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_that_of_the_summaries(results: ModuleType, repository: Path) -> None:
    assert (repository / "docs/results.md").read_text() == results.page()


def test_the_text_of_the_page_has_no_figures(repository: Path) -> None:
    template = (repository / "scripts/results.md.jinja").read_text()
    plain = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|`[^`]*`", "", template, flags=re.S)
    assert re.findall(r"\d*\.\d+|\d{2,} (?:%|s|ms|MiB)", plain) == ["95 %"]  # of the intervals


def test_expected_scores_are_those_of_the_summaries(results: ModuleType, repository: Path) -> None:
    expected = yaml.safe_load((repository / "recipes/expected.yaml").read_text())
    compared = 0
    for entry in expected.values():
        if "summary" not in entry:
            continue
        summary = json.loads((results.SUMMARIES / f"{entry['summary']}.json").read_text())
        scores = results.scores_of(summary)
        for name, score in entry["scores"].items():
            if ", seed" not in name:
                assert score == pytest.approx(scores[name], abs=5e-5), name
                compared += 1
        assert scores["ensemble-held-out"] >= max(
            row["valid"]["mean"]
            for name, row in summary["models"].items()
            if name in (*summary["ensemble"]["weights"], *summary["ensemble"]["dropped"])
        )
    assert compared >= 16


def test_a_new_summary_updates_the_expected_scores(
    results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    monkeypatch.setattr(results, "SUMMARIES", tmp_path / "summaries")
    monkeypatch.setattr(results, "EXPECTED", tmp_path / "expected.yaml")
    text = (
        "# why\na:\n  summary: a\n  scores:\n    x: 0.1\n    x-held-out: 0.1\n    y, seed 1: 0.3\n"
    )
    (tmp_path / "expected.yaml").write_text(f"{text}\nb:\n  summary: b\n  scores:\n    x: 0.2\n")
    summary = json.loads((repository / "recipes/summaries/fashion.json").read_text())
    row = summary["models"]["ensemble"]
    summary["models"] = {"x": row, "z": row}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "summary.json").write_text(json.dumps({**summary, "slices": {"long": 1}}))
    results.add("a", str(tmp_path / "run"))
    kept = json.loads((tmp_path / "summaries" / "a.json").read_text())
    assert "slices" not in kept
    assert kept["models"] == summary["models"]
    changed = (tmp_path / "expected.yaml").read_text()
    in_sample, held_out = row["in_sample"]["mean"], row["valid"]["mean"]
    assert changed.startswith("# why\na:\n  summary: a\n  scores:\n")
    assert yaml.safe_load(changed) == {
        "a": {
            "summary": "a",
            "scores": {
                "x": round(in_sample, 4),
                "x-held-out": round(held_out, 4),
                "y, seed 1": 0.3,
            },
        },
        "b": {"summary": "b", "scores": {"x": 0.2}},
    }
