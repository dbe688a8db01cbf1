"""The ensemble: never behind its best member in sample, honest beside it, and kept as a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopsight.config import FusionConfig
from shopsight.errors import DataError
from shopsight.inference.ensemble import (
    ENSEMBLE,
    REFERENCE,
    Ensemble,
    fit_ensembles,
    load_ensembles,
    save_ensembles,
)
from shopsight.metrics.evaluate import Evaluator
from shopsight.types import FloatArray, Qrels, Run

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


def fitted(runs: dict[str, Run], judge: Evaluator, config: FusionConfig) -> dict[str, Ensemble]:
    def values(run: Run) -> FloatArray:
        return judge.per_query(run, "ndcg@5")

    return {ensemble.name: ensemble for ensemble in fit_ensembles(runs, values, config, seed=0)}


def test_it_is_at_least_as_good_as_its_best_member(runs: dict[str, Run], judge: Evaluator) -> None:
    ensemble = fitted(runs, judge, ZSCORE)[ENSEMBLE]
    single = [judge.per_query(run, "ndcg@5").mean() for run in runs.values()]
    assert ensemble.in_sample > max(single)
    assert ensemble.held_out <= ensemble.in_sample
    assert list(ensemble.weights) == list(runs)
    assert sum(ensemble.weights.values()) == pytest.approx(1)
    again = judge.per_query(ensemble.fuse(runs), "ndcg@5").mean()
    assert again == pytest.approx(ensemble.in_sample, abs=1e-12)


def test_the_references_ensemble_is_its_two_models_on_raw_scores(
    runs: dict[str, Run], judge: Evaluator
) -> None:
    ensembles = fitted(runs, judge, ZSCORE)
    assert list(ensembles) == [REFERENCE, ENSEMBLE]
    reference = ensembles[REFERENCE]
    assert set(reference.weights) == {"word-match", "sentence-match"}
    assert (reference.config.method, reference.config.normalise) == ("grid", "none")
    (curve,) = reference.curves  # the curve of the second member would mirror it
    assert curve.member == "word-match"
    pair = {name: runs[name] for name in ("word-match", "dual")}
    assert list(fitted(pair, judge, ZSCORE)) == [ENSEMBLE]


def test_curves_go_from_without_a_member_to_it_alone(
    runs: dict[str, Run], judge: Evaluator
) -> None:
    ensemble = fitted(runs, judge, ZSCORE)[ENSEMBLE]
    assert [curve.member for curve in ensemble.curves] == list(runs)
    for curve in ensemble.curves:
        assert curve.weights == tuple(sorted(set(curve.weights)))
        assert (curve.weights[0], curve.weights[-1]) == (0, 1)
        assert curve.weights[curve.chosen] == ensemble.weights[curve.member]
        assert curve.means[curve.chosen] == pytest.approx(ensemble.in_sample, abs=1e-9)
        alone = judge.per_query(runs[curve.member], "ndcg@5").mean()
        assert curve.means[-1] == pytest.approx(alone, abs=1e-9)


def test_a_grid_over_three_becomes_a_search_along_coordinates(
    runs: dict[str, Run], judge: Evaluator
) -> None:
    ensemble = fitted(runs, judge, FusionConfig(method="grid", steps=10))[ENSEMBLE]
    assert ensemble.config.method == "coordinate"


def test_it_survives_its_file(runs: dict[str, Run], judge: Evaluator, tmp_path: Path) -> None:
    assert load_ensembles(tmp_path) == []
    ensembles = list(fitted(runs, judge, ZSCORE).values())
    save_ensembles(ensembles, tmp_path)
    assert load_ensembles(tmp_path) == ensembles
    for damage in ("{", '[{"name": "ensemble"}]', "[1]"):
        (tmp_path / "fusion.json").write_text(damage)
        with pytest.raises(DataError, match=r"fusion\.json: damaged"):
            load_ensembles(tmp_path)


def test_a_missing_member_is_named(runs: dict[str, Run], judge: Evaluator) -> None:
    ensemble = fitted(runs, judge, ZSCORE)[ENSEMBLE]
    with pytest.raises(DataError, match="ensemble needs the run of dual"):
        ensemble.fuse({name: run for name, run in runs.items() if name != "dual"})
