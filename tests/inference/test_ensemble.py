"""The ensemble: chosen by held-out score, never behind its best member, and kept as a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopsight.config import FusionConfig
from shopsight.errors import DataError
from shopsight.inference.ensemble import (
    ENSEMBLE,
    REFERENCE,
    FittedEnsemble,
    fit_ensembles,
    load_ensembles,
    save_ensembles,
)
from shopsight.metrics.evaluate import Evaluator
from shopsight.types import Qrels, Run

ZSCORE = FusionConfig(normalise="zscore", steps=20)


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    """Three noisy views of the truth, on scales that have nothing in common."""
    rng = np.random.default_rng(4)
    truth = {f"q{i}": {f"p{j}": float(j < 4) for j in range(20)} for i in range(40)}
    noise = {"word-match": (1.0, 1.2), "sentence-match": (30.0, 1.5), "dual": (0.01, 1.0)}
    return {
        name: Run.from_dict(
            {
                query: {p: scale * (value + rng.normal(0, spread)) for p, value in row.items()}
                for query, row in truth.items()
            },
            name,
        )
        for name, (scale, spread) in noise.items()
    }


@pytest.fixture(scope="module")
def judge() -> Evaluator:
    return Evaluator(Qrels({f"q{i}": {f"p{j}": 1 for j in range(4)} for i in range(40)}))


def fitted(
    runs: dict[str, Run], judge: Evaluator, config: FusionConfig
) -> dict[str, FittedEnsemble]:
    fits = fit_ensembles(runs, judge, "ndcg@5", config, seed=0)
    return {fit.ensemble.name: fit for fit in fits}


def mean(run: Run, judge: Evaluator) -> float:
    return float(judge.per_query(run, "ndcg@5").mean())


def test_its_figures_are_those_of_its_runs(runs: dict[str, Run], judge: Evaluator) -> None:
    ensemble, run, held_out = fitted(runs, judge, ZSCORE)[ENSEMBLE]
    assert ensemble.held_out > max(mean(member, judge) for member in runs.values())
    assert sum(ensemble.weights.values()) == pytest.approx(1)
    assert {*ensemble.weights, *ensemble.dropped} == set(runs)
    assert mean(run, judge) == pytest.approx(ensemble.in_sample, abs=1e-12)
    assert mean(held_out, judge) == pytest.approx(ensemble.held_out, abs=1e-12)
    assert np.array_equal(ensemble.fuse(runs).scores, run.scores)
    assert run.name == held_out.name == ENSEMBLE


def test_members_without_a_gain_are_dropped_and_not_needed(
    runs: dict[str, Run], judge: Evaluator
) -> None:
    rng = np.random.default_rng(0)
    noise = runs["dual"].with_scores(rng.normal(size=len(runs["dual"].scores)), "label-match")
    ensemble = fitted({"label-match": noise, **runs}, judge, ZSCORE)[ENSEMBLE].ensemble
    assert ensemble.dropped == ("label-match",)
    assert ensemble.fuse(runs).name == ENSEMBLE


def test_the_best_member_stands_for_an_ensemble_that_does_not_beat_it(
    runs: dict[str, Run], judge: Evaluator
) -> None:
    rng = np.random.default_rng(0)
    noise = runs["dual"].with_scores(rng.normal(size=len(runs["dual"].scores)), "word-match")
    pair = {"word-match": noise, "dual": runs["dual"]}
    fit = fitted(pair, judge, ZSCORE)[ENSEMBLE]
    assert fit.ensemble.weights == {"dual": 1.0}
    assert fit.ensemble.held_out == mean(runs["dual"], judge)
    assert "1.00 dual (no ensemble beats it)" in fit.ensemble.summary
    for run in (fit.run, fit.held_out):
        assert run.order.tolist() == runs["dual"].order.tolist()


def test_the_references_ensemble_is_its_two_models_on_raw_scores(
    runs: dict[str, Run], judge: Evaluator
) -> None:
    fits = fitted(runs, judge, ZSCORE)
    assert list(fits) == [REFERENCE, ENSEMBLE]
    reference = fits[REFERENCE].ensemble
    assert {*reference.weights, *reference.dropped} == {"word-match", "sentence-match"}
    assert (reference.config.method, reference.config.normalise) == ("grid", "none")
    pair = {name: runs[name] for name in ("word-match", "dual")}
    assert list(fitted(pair, judge, ZSCORE)) == [ENSEMBLE]


@pytest.mark.parametrize(
    ("asked", "used"),
    [("auto", "forward"), ("grid", "forward"), ("coordinate", "coordinate"), ("rrf", "rrf")],
)
def test_methods(runs: dict[str, Run], judge: Evaluator, asked: str, used: str) -> None:
    config = FusionConfig(method=asked, steps=10)  # type: ignore[arg-type]
    assert fitted(runs, judge, config)[ENSEMBLE].ensemble.config.method == used


def test_queries_without_judgements_have_the_final_weights(
    runs: dict[str, Run], judge: Evaluator
) -> None:
    half = Evaluator(Qrels({f"q{i}": {f"p{j}": 1 for j in range(4)} for i in range(20)}))
    _, run, held_out = fitted(runs, half, ZSCORE)[ENSEMBLE]
    judged = np.isin(run.pools.query_idx, range(20))
    assert np.array_equal(held_out.scores[~judged], run.scores[~judged])


def test_it_survives_its_file(runs: dict[str, Run], judge: Evaluator, tmp_path: Path) -> None:
    assert load_ensembles(tmp_path) == []
    ensembles = [fit.ensemble for fit in fitted(runs, judge, ZSCORE).values()]
    save_ensembles(ensembles, tmp_path)
    assert load_ensembles(tmp_path) == ensembles
    for damage in ("{", '[{"name": "ensemble"}]', "[1]"):
        (tmp_path / "fusion.json").write_text(damage)
        with pytest.raises(DataError, match=r"fusion\.json: damaged"):
            load_ensembles(tmp_path)


def test_a_missing_member_is_named(runs: dict[str, Run], judge: Evaluator) -> None:
    ensemble = fitted(runs, judge, ZSCORE)[ENSEMBLE].ensemble
    assert "dual" in ensemble.weights
    with pytest.raises(DataError, match="ensemble needs the run of dual"):
        ensemble.fuse({name: run for name, run in runs.items() if name != "dual"})
