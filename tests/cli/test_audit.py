"""``shopsight audit``."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from shopsight.cli.main import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pools that leak: relevant products are in a single pool, all others in every pool."""
    rows = [
        f"{query}\t{text}\t{product}\n"
        for query, text in enumerate(["red shoes", "Red Shoes", "", *map(str, range(9))])
        for product in (f"own{query}", *"cdefghijklmno")
    ]
    (tmp_path / "pairs.tsv").write_text("query_id\tquery\tproduct_id\n" + "".join(rows))
    (tmp_path / "answers.json").write_text(json.dumps({str(q): [f"own{q}"] for q in range(12)}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_reports_a_leak(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "pairs.tsv", "--answers", "answers.json"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("These pools LEAK: ranking products by how few pools offer them")
    assert "1 (2)" in out  # one empty query
    assert "1 (0 = 1)" in out  # one text of two queries
    assert "100.0%" in out


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "pairs.tsv", "--answers", "answers.json", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["leaks"] is True
    assert result["leak"]["count_only"] == 1.0
    by_count = result["leak"]["relevance_by_pool_count"]
    assert by_count["1"] == {"candidates": 12, "relevant": 12, "rate": 1.0}
    assert result["structure"]["empty_queries"] == ["2"]
    assert result["structure"]["duplicate_queries"] == [["0", "1"]]


def test_without_judgements(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "pairs.tsv"]) == 0
    assert "can only be measured with relevance judgements" in capsys.readouterr().out
    assert main(["audit", "pairs.tsv", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["leaks"], result["leak"]) == (None, None)


def test_prepared_folder_equals_its_raw_file(
    tmp_path: Path, small_world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    assert main(["prepare", "kddcup", str(small_world), "--out", str(data), "--quiet"]) == 0
    capsys.readouterr()
    valid = small_world / "valid"
    answers = ("--answers", str(valid / "valid_answer.json"), "--json")
    assert main(["audit", str(valid / "valid.tsv"), *answers]) == 0
    raw = json.loads(capsys.readouterr().out)
    assert main(["audit", str(data), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == raw


def test_folder_without_prepared_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "."]) == 2
    assert "not prepared data (it has no data.json)" in capsys.readouterr().err


def test_pools_from_standard_input(folder: Path) -> None:
    command = [sys.executable, "-m", "shopsight", "audit", "-", "--json"]
    data = (folder / "pairs.tsv").read_bytes()
    for content in (data, gzip.compress(data)):
        done = subprocess.run(command, input=content, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        structure = json.loads(done.stdout)["structure"]
        assert (structure["queries"], structure["empty_queries"]) == (12, ["2"])


def test_standard_input_can_be_read_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        ["audit", "-", "--answers", "-"],
        ["evaluate", "-", "--answers", "-"],
        ["compare", "-", "-", "--answers", "answers.json"],
        ["fuse", "-", "a.json", "--answers", "-", "--out", "f.json"],
        ["submit", "-", "--pools", "-", "--out", "s.csv"],
    ):
        assert main(command) == 2
        assert "standard input (-) can be read once" in capsys.readouterr().err
