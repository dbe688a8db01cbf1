"""Published figures of the competition's real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shopsight.cli.main import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def real(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return shared_data / "kddcup2020"


def result(capsys: Capture, *arguments: str) -> dict[str, dict[str, float]]:
    assert main([*arguments, "--json", "--quiet"]) == 0
    output: dict[str, dict[str, float]] = json.loads(capsys.readouterr().out)
    return output


def ndcg(capsys: Capture, run: str, answers: str) -> float:
    command = ("evaluate", run, "--answers", answers, "--metrics", "ndcg@5")
    return result(capsys, *command)["ndcg@5"]["mean"]


def test_published_figures(real: Path, capsys: Capture) -> None:
    run, answers = str(real / "scores" / "valid_imagebert.tsv"), str(real / "valid_answer.json")
    assert round(ndcg(capsys, run, answers), 4) == 0.7098
    assert result(capsys, "rerank", run, "--exclusive", "--out", "once.json")
    assert round(ndcg(capsys, "once.json", answers), 4) == 0.7486
    assert result(capsys, "rerank", run, "--exclusive", "--margin", "0.92", "--out", "led.json")
    assert 0.835 <= ndcg(capsys, "led.json", answers) <= 0.838


@pytest.mark.parametrize("normalisation", ["none", "minmax", "zscore", "rank"])
def test_fusion_beats_the_best(real: Path, capsys: Capture, normalisation: str) -> None:
    runs = sorted(str(path) for path in (real / "scores").glob("valid_*"))
    assert len(runs) == 4
    answers = ("--answers", str(real / "valid_answer.json"), "--normalise", normalisation)
    output = result(capsys, "fuse", *runs, *answers, "--out", "fused.json")
    best = max(member["mean"] for member in output["members"].values())  # type: ignore[index]
    assert output["in_sample"]["mean"] >= output["held_out"]["mean"] > best
    assert ndcg(capsys, "fused.json", answers[1]) == output["in_sample"]["mean"]


@pytest.mark.parametrize("name", ["valid_imagebert.tsv", "valid_lxmert_b6.json"])
def test_competition_pools_leak(real: Path, capsys: Capture, name: str) -> None:
    command = ("audit", str(real / "scores" / name), "--answers", str(real / "valid_answer.json"))
    output = result(capsys, *command)
    assert output["leaks"] is True
    assert "LEAK" in output["verdict"]
    assert output["leak"]["count_only"] == pytest.approx(0.557, abs=0.01)
    assert output["leak"]["random"] == pytest.approx(0.20, abs=0.01)
    by_count = output["leak"]["relevance_by_pool_count"]
    assert by_count["1"]["rate"] == pytest.approx(0.389, abs=5e-4)  # type: ignore[index]
    assert by_count["2"]["rate"] == pytest.approx(0.025, abs=5e-4)  # type: ignore[index]
    counts = output["structure"]["products_by_pool_count"]
    assert sum(n for count, n in counts.items() if count != "1") == 1731  # type: ignore[attr-defined]


def test_fashion_pools_do_not_leak(shared_data: Path, capsys: Capture) -> None:
    fashion = shared_data / "fashion"
    answers = str(fashion / "valid_answer.json")
    output = result(capsys, "audit", str(fashion / "valid.pairs.tsv"), "--answers", answers)
    assert output["leaks"] is False
    assert output["leak"]["count_only"] == pytest.approx(0.14, abs=0.01)
    assert output["leak"]["random"] == pytest.approx(0.13, abs=0.015)


def test_submission_of_testb(real: Path, capsys: Capture) -> None:
    scores = real / "scores"
    run, pools = str(scores / "testB_imagebert.tsv"), str(scores / "testB_lxmert.csv")
    output = result(capsys, "submit", run, "--pools", pools, "--out", "submission.csv")
    assert output["queries"] == len(Path("submission.csv").read_text().splitlines()) - 1 == 994
