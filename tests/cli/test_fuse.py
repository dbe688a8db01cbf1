"""``shopsight fuse``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from shopsight.cli.main import main
from shopsight.formats.runs import read_run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The relevant product "a" is second in each run, and first in their sum."""
    queries = [str(query) for query in range(10)]
    first = {q: {"a": 2.0, "c": 3.0, "d": 0.0} for q in queries}
    second = {q: {"a": 2.0, "c": 0.0, "d": 3.0} for q in queries}
    (tmp_path / "first.json").write_text(json.dumps(first))
    (tmp_path / "second.json").write_text(json.dumps(second))
    (tmp_path / "answers.json").write_text(json.dumps({q: ["a"] for q in queries}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fuse(*arguments: str) -> int:
    return main(["fuse", "first.json", "second.json", "--out", "fused.json", *arguments])


def test_reports_in_sample_and_cross_validated_scores(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fuse("--answers", "answers.json") == 0
    out = capsys.readouterr().out
    for row in ("first +0.3400", "second +0.6600", "fused, in sample +1.0000"):
        assert re.search(row, out)
    assert re.search("fused, held out +1.0000", out)
    assert "written: fused.json" in out
    fused = read_run("fused.json")
    assert fused.pools.product_ids[fused.order][0] == "a"


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fuse("--answers", "answers.json", "--json", "--metric", "mrr") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["metric"] == "mrr"
    assert result["weights"] == {"first": 0.34, "second": 0.66}
    assert result["members"]["first"]["mean"] == 0.5
    assert result["in_sample"]["mean"] == result["held_out"]["mean"] == 1.0
    assert result["filled"] == {"first": 0, "second": 0}


def test_fixed_weights_need_no_judgements(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fuse("--weights", "0.25", "0.75", "--json") == 0
    assert json.loads(capsys.readouterr().out)["weights"] == {"first": 0.25, "second": 0.75}
    fused = read_run("fused.json")
    scores = dict(zip(fused.pools.of("0"), fused.scores, strict=False))
    assert scores == {"a": 2.0, "c": 0.75, "d": 2.25}


def test_fixed_weights_are_scored_with_judgements(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fuse("--weights", "1", "1", "--answers", "answers.json", "--json") == 0
    assert json.loads(capsys.readouterr().out)["fixed"]["mean"] == 1.0


def test_reciprocal_ranks_need_no_judgements(folder: Path) -> None:
    assert fuse("--method", "rrf", "--rrf-k", "1") == 0
    assert read_run("fused.json").scores.max() == pytest.approx((1 / 2 + 1 / 4) / 2)


def test_reports_missing_pairs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "second.json").write_text('{"0": {"a": 1.0, "new": 2.0}}')
    assert fuse("--weights", "1", "1") == 0
    warned = capsys.readouterr().err
    assert (
        "first lacks 1 (query, product) pair, scored with its lowest score of the query" in warned
    )
    assert "second lacks 29 (query, product) pairs, scored with its lowest score" in warned


def test_invalid_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "scores.json").write_text('{"1": {"a": 2.5}}')
    for arguments, message in (
        ((), "fitting weights needs --answers; or give --weights, or --method rrf"),
        (("--weights", "1"), "2 runs need 2 finite weights"),
        (("--answers", "answers.json", "--metric", "foo"), "unknown metric 'foo'"),
        (("--answers", "scores.json"), "grade 2.5 is not a whole number"),
        (("--answers", "answers.json", "--folds", "1"), "folds must be at least 2, not 1"),
        (("--weights", "1", "1", "--metric", "foo"), "unknown metric 'foo' (known: ndcg,"),
        (("--weights", "1", "x"), "--weights must be a number, not 'x'"),
        (("--weights", "0", "0"), "weights must be at least 0 and not all 0"),
        (("--method", "rrf", "--normalise", "zscore"), "leave out --normalise zscore"),
        (("--weights", "1", "1", "--out", "/dev/null"), "it is not a regular file"),
    ):
        assert fuse(*arguments) == 2
        assert message in capsys.readouterr().err
    assert main(["fuse", "first.json", "--weights", "1", "--out", "fused.json"]) == 2
    assert "at least two runs" in capsys.readouterr().err
    assert not (folder / "fused.json").exists()
