"""Evaluation, comparison, fusion, re-ranking and audit through the front door."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import shopsight as ss
from shopsight.data.dataset import PreparedData
from shopsight.metrics import evaluate as core

QUERIES = [str(i) for i in range(8)]
GOOD = {q: {"a": 2.0, "b": 1.0, "c": 0.0} for q in QUERIES}
BAD = {q: {"a": 0.0, "b": 1.0, "c": 2.0} for q in QUERIES}
ANSWERS = {q: ["a"] for q in QUERIES}


def test_evaluate() -> None:
    result = ss.evaluate(GOOD, ANSWERS, ["mrr", "ndcg@5"], seed=3, resamples=50)
    assert result.to_dict() == {
        name: {"mean": 1.0, "low": 1.0, "high": 1.0, "queries": 8} for name in ("mrr", "ndcg@5")
    }
    assert result["mrr"] == 1.0
    assert repr(result) == "Evaluation('run': mrr 1.0000, ndcg@5 1.0000)"
    assert "95% interval" in str(result)
    assert result._repr_html_().count("<tr>") == 3
    assert result.records()[0]["metric"] == "mrr"


def test_evaluate_equals_the_core_function() -> None:
    run = ss.Run.from_dict({q: {"a": 0.3, "b": float(i)} for i, q in enumerate(QUERIES)})
    ours = ss.evaluate(run, ANSWERS, seed=5)
    assert ours.to_dict() == core.evaluate(run, ss.Qrels.from_dict(ANSWERS), seed=5).to_dict()


def test_evaluate_reports_missing_queries(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "shopsight"):
        ss.evaluate({"0": {"a": 1.0}}, {"0": ["a"], "9": ["b"]}, "mrr")
    assert "not ranked, counted as 0: 1 (9)" in caplog.text


def test_compare() -> None:
    result = ss.compare([GOOD, BAD], ANSWERS, "mrr", correction="none")
    assert result.config.correction == "none"
    assert result.to_dict()["beats"] == {"mrr": {"run": ["run again"], "run again": []}}
    assert [row["beats"] for row in result.records()] == [["run again"], []]
    with pytest.raises(ss.ShopsightError, match="at least two runs"):
        ss.compare([GOOD], ANSWERS)


def test_fuse() -> None:
    run = ss.fuse([GOOD, BAD], ANSWERS, metric="mrr", name="both")
    assert isinstance(run, ss.Run)
    assert run.name == "both"
    fusion = run.fusion
    assert sum(fusion.weights.values()) == pytest.approx(1)
    assert fusion.fused["in_sample"].mean == 1.0
    assert [grid.columns[0] for grid in fusion.grids()] == ["run", "mrr"]
    assert fusion.to_dict()["members"]["run"]["mean"] == 1.0
    assert [row["run"] for row in fusion.records()] == ["run", "run again"]


def test_fuse_without_judgements() -> None:
    run = ss.fuse([GOOD, BAD], weights=[1, 0])
    assert run.to_dict() == ss.Run.from_dict(GOOD).to_dict()
    assert run.fusion.fused == {}
    assert len(run.fusion.grids()) == 1
    assert ss.fuse([GOOD, BAD], method="rrf").fusion.weights == {"run": 0.5, "run again": 0.5}
    with pytest.raises(ss.ShopsightError, match="fitting weights needs --answers"):
        ss.fuse([GOOD, BAD])


def test_rerank() -> None:
    run = ss.rerank({"q1": {"a": 0.9, "b": 0.5}, "q2": {"a": 0.7, "c": 0.1}})
    assert list(run.to_dict()["q2"]) == ["c", "a"]
    with pytest.raises(ss.ShopsightError, match="--exclusive"):
        ss.rerank(GOOD, exclusive=False)


def test_audit(small_data: Path) -> None:
    assert ss.audit({"q": ["a", "a"]}).structure.repeated_in_pool == [("q", "a")]
    result = ss.audit(small_data)
    assert result.leak is not None
    assert result.to_dict() == ss.audit(PreparedData.open(small_data)).to_dict()
    assert result.records()[0]["pools"] == "queries"
    assert "random order" in str(result)


def test_submit(tmp_path: Path) -> None:
    run = {"q": {p: float(i) for i, p in enumerate("abcdef")}}
    assert ss.submit(run, tmp_path / "s.csv") == 1
    assert (tmp_path / "s.csv").read_text().splitlines()[1] == "q,f,e,d,c,b"
