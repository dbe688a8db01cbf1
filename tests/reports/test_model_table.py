"""The table of models: held out, in sample, other splits, difference to the reference."""

from __future__ import annotations

import numpy as np
import pytest

from shopsight.config import FusionConfig
from shopsight.inference.ensemble import Ensemble
from shopsight.inference.evaluate import TrainingResults
from shopsight.metrics.evaluate import evaluate
from shopsight.metrics.significance import compare
from shopsight.reports.model_table import headline, model_rows
from shopsight.types import Qrels, Run

QRELS = Qrels({f"q{i}": {"a": 1} for i in range(20)})


def run(name: str, right: int, noise: float = 0.0) -> Run:
    """Ranks the relevant product first for the first ``right`` queries, else last."""
    rng = np.random.default_rng(len(name))
    scores = {
        query: {"a": float(i < right) + noise * rng.random(), "b": 0.5}
        for i, query in enumerate(QRELS.relevance)
    }
    return Run.from_dict(scores, name)


@pytest.fixture
def results() -> TrainingResults:
    runs = [run("random", 4), run("dual", 12), run("word+sentence", 10), run("ensemble", 16)]
    ensembles = [
        Ensemble("word+sentence", {"word-match": 0.5, "sentence-match": 0.5}, FusionConfig(), 0, 0),
        Ensemble("ensemble", {"dual": 0.75, "word-match": 0.25}, FusionConfig(), 0, 0),
    ]
    return TrainingResults(
        folder=None,  # type: ignore[arg-type]
        valid={each.name: each for each in runs},
        comparison=compare(runs, QRELS),
        in_sample={each.name: evaluate(run(each.name, 18), QRELS).estimates for each in runs[2:]},
        ensembles=ensembles,
        splits={"testA": compare([runs[0], runs[3]], QRELS)},
        seconds={},
        memory={},
    )


@pytest.fixture(autouse=True)
def no_student(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainingResults, "imitation", {})


def test_rows_have_every_figure(results: TrainingResults) -> None:
    rows = {row.name: row for row in model_rows(results)}
    assert list(rows) == ["random", "dual", "word+sentence", "ensemble"]
    best, reference, dual = rows["ensemble"], rows["word+sentence"], rows["dual"]
    at_two = 1 / np.log2(3)  # nDCG of a query whose product ranks second
    assert best.valid.mean == pytest.approx((16 + 4 * at_two) / 20)
    assert best.in_sample is not None
    assert best.in_sample.mean == pytest.approx((18 + 2 * at_two) / 20)
    assert dual.in_sample is None
    assert list(best.splits) == ["testA"]
    assert dual.splits == {}
    assert reference.difference is None
    assert best.difference is not None
    assert best.difference.estimate.mean == pytest.approx(6 * (1 - at_two) / 20)
    assert best.difference.p_value == 2 / 2**6  # six queries differ, all in its favour
    assert set(best.others) == {"recall@10", "mrr"}
    assert best.description == "0.75 dual + 0.25 word-match"
    assert reference.description.startswith("ensemble of the reference solution")


def test_the_headline_is_the_held_out_figure(results: TrainingResults) -> None:
    rows = model_rows(results)
    text = headline(rows[-1], "valid")
    assert "ndcg@5 0.926" in text
    assert "on held-out queries of valid; 0.963 in sample; 0.926" in text
    assert "on testA, to which nothing was fitted" in text
    assert "+0.111" in text
    assert "p = .031" in text
    single = headline(rows[1], "valid")
    assert "on valid" in single
    assert "held" not in single


def test_a_lone_member_is_described_as_such(results: TrainingResults) -> None:
    results.ensembles[1] = Ensemble("ensemble", {"dual": 1.0}, FusionConfig(), 0, 0, ("x",))
    assert (
        model_rows(results)[-1].description == "1.00 dual; no ensemble beats it on held-out queries"
    )
