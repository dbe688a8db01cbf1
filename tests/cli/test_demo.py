"""The demo: the whole way, and what it leaves behind."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import pytest
from markupsafe import escape

from shopsight.catalogue.data import PreparedData
from shopsight.cli.main import main
from shopsight.config import WorldConfig
from shopsight.formats.answers import read_answers
from shopsight.formats.runs import read_run
from shopsight.metrics.evaluate import evaluate


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The demo's folder and what it printed as JSON."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    capture = pytest.MonkeyPatch()
    printed: list[str] = []
    capture.setattr("builtins.print", lambda text: printed.append(text))
    try:
        assert main(["demo", "--out", str(out), "--json"]) == 0
    finally:
        capture.undo()
    (text,) = printed
    return out, text


def test_its_figures_are_those_of_the_files_it_writes(demo: tuple[Path, str]) -> None:
    out, text = demo
    said = json.loads(text)
    qrels = read_answers(out / "raw" / "valid" / "valid_answer.json")
    assert list(said["models"]) == ["random", "words-mean", "words-max", "fused"]
    for name, figures in said["models"].items():
        estimates = evaluate(read_run(out / "runs" / f"valid-{name}.json"), qrels).estimates
        assert estimates["ndcg@5"].mean == pytest.approx(figures["ndcg@5"]["mean"], abs=1e-12)
        assert estimates["ndcg@5"].low == figures["ndcg@5"]["low"]


def test_baselines_beat_chance_and_the_fusion_its_members(demo: tuple[Path, str]) -> None:
    said = json.loads(demo[1])
    means = {name: figures["ndcg@5"]["mean"] for name, figures in said["models"].items()}
    assert means["random"] < 0.25
    assert min(means["words-mean"], means["words-max"]) > 0.6
    assert means["fused"] >= max(means["words-mean"], means["words-max"])
    assert said["fusion"]["held_out"] <= means["fused"]
    assert sum(said["fusion"]["weights"].values()) == pytest.approx(1)
    assert said["testA ndcg@5"] > 0.6
    assert said["audit"]["leaks"] is False


def test_it_leaves_data_runs_a_submission_and_a_report(demo: tuple[Path, str]) -> None:
    out, _ = demo
    assert PreparedData.open(out / "data").splits == ["train", "valid", "testA"]
    assert len(list((out / "runs").iterdir())) == 8
    with open(out / "submission.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["query-id", *(f"product{i}" for i in range(1, 6))]
    assert len(rows) == 151
    page = (out / "report.html").read_text()
    assert page.count('class="story card"') == 6
    assert "words-max" in page


def test_it_can_be_repeated_and_gives_the_same(
    demo: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    out, text = demo
    assert main(["demo", "--out", str(out), "--quiet"]) == 0
    table = capsys.readouterr().out
    first = json.loads(text)["models"]["fused"]["ndcg@5"]["mean"]
    assert f"{first:.4f}" in table
    assert str(out / "report.html") in table.splitlines()[-1]


def test_it_says_what_it_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--out", str(tmp_path / "new"), "--seed", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    steps = [line.split()[2] for line in lines if line[5:8] == " s "]
    assert steps == ["world", "prepare", "audit", "rank", "fuse", "compare", "submit", "report"]


def test_after_a_demo_that_was_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(folder: Path, config: WorldConfig) -> None:
        folder.mkdir()
        (folder / "half").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr("shopsight.cli.demo.make_world", cut_off)
        assert main(["demo", "--out", str(tmp_path / "demo"), "--quiet"]) == 130
    assert main(["demo", "--out", str(tmp_path / "demo"), "--quiet"]) == 0


def test_commands_to_try_next_can_be_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "-o'dd & new"
    assert main(["demo", f"--out={name}"]) == 0
    shown = capsys.readouterr().out
    lines = [line.split() for line in shown.splitlines() if line.startswith("  shopsight ")]
    commands = [shlex.split(" ".join(line)) for line in lines[:3]]
    assert [command[1] for command in commands] == ["evaluate", "fuse", "audit"]
    for _, *arguments in commands:
        assert main(arguments) == 0
    assert (
        str(escape(shlex.quote(f"./{name}/data"))) in (tmp_path / name / "report.html").read_text()
    )


def test_a_folder_of_something_else_is_not_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("mine")
    assert main(["demo", "--out", str(tmp_path)]) == 2
    assert "is no demo folder; choose another --out" in capsys.readouterr().err
    assert main(["demo", "--out", str(tmp_path / "data" / "mine.txt")]) == 2
    assert "a file is in the way; choose another --out" in capsys.readouterr().err
    assert (tmp_path / "data" / "mine.txt").read_text() == "mine"
