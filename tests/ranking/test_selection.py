"""Selection of members: by held-out gain, never behind the best run, stable for few queries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopsight.config import FusionConfig
from shopsight.metrics.evaluate import Evaluator
from shopsight.ranking.fusion import fuse, fusion_terms
from shopsight.ranking.run import align
from shopsight.ranking.selection import ForwardSelection
from shopsight.ranking.trials import Trials
from shopsight.ranking.weights import FittedWeights, fit_weights
from shopsight.types import FloatArray, Qrels, Run

CANDIDATES, RELEVANT = 12, 3
FORWARD = FusionConfig(method="forward", normalise="zscore")


def judge(queries: int) -> Evaluator:
    answers = {f"p{i}": 1 for i in range(RELEVANT)}
    return Evaluator(Qrels({f"q{i}": answers for i in range(queries)}))


def members(noises: list[float], queries: int, seed: int) -> list[Run]:
    """Runs that see the truth with independent noise; infinite noise sees nothing of it."""
    rng = np.random.default_rng(seed)
    runs = []
    for number, noise in enumerate(noises):
        truth = np.arange(CANDIDATES) < RELEVANT if np.isfinite(noise) else np.zeros(CANDIDATES)
        spread = noise if np.isfinite(noise) else 1.0
        table = truth + rng.normal(0, spread, (queries, CANDIDATES))
        scores = {
            f"q{i}": {f"p{j}": float(v) for j, v in enumerate(row)} for i, row in enumerate(table)
        }
        runs.append(Run.from_dict(scores, f"run{number}"))
    return runs


def fit(runs: list[Run], evaluator: Evaluator, seed: int = 0) -> FittedWeights:
    def ndcg(run: Run) -> FloatArray:
        return evaluator.per_query(run, "ndcg@5")

    return fit_weights(runs, ndcg, FORWARD, seed)


def means(runs: list[Run], evaluator: Evaluator) -> list[float]:
    return [float(evaluator.per_query(run, "ndcg@5").mean()) for run in runs]


@settings(max_examples=25, deadline=None)
@given(
    noises=st.lists(st.sampled_from([0.3, 0.8, 2.0, np.inf]), min_size=2, max_size=5),
    queries=st.integers(2, 30),
    seed=st.integers(0, 10**6),
)
def test_held_out_it_is_never_behind_the_best_run(
    noises: list[float], queries: int, seed: int
) -> None:
    runs, evaluator = members(noises, queries, seed), judge(queries)
    fitted = fit(runs, evaluator)
    assert fitted.held_out.mean() >= max(means(runs, evaluator)) - 1e-9
    assert sum(fitted.weights) == pytest.approx(1)
    assert min(fitted.weights) >= 0


def test_good_members_share_the_weight_and_noise_gets_none() -> None:
    runs, evaluator = members([0.6, np.inf, 0.6, np.inf, 0.6], 300, 1), judge(300)
    fitted = fit(runs, evaluator)
    assert [weight > 0 for weight in fitted.weights] == [True, False, True, False, True]
    assert fitted.weights[0] == pytest.approx(1 / 3, abs=0.1)
    assert fitted.held_out.mean() > max(means(runs, evaluator)) + 0.05
    # Weights in fifths of equal subsets hardly fit the queries: held out and in sample agree.
    assert fitted.in_sample.mean() == pytest.approx(fitted.held_out.mean(), abs=0.01)


def test_the_best_run_is_alone_where_no_ensemble_beats_it() -> None:
    runs, evaluator = members([np.inf, 0.4, np.inf], 100, 2), judge(100)
    fitted = fit(runs, evaluator)
    assert fitted.weights == (0.0, 1.0, 0.0)
    assert set(fitted.fold_weights) == {(0.0, 1.0, 0.0)}
    assert np.array_equal(fitted.held_out, fitted.in_sample)
    assert fitted.held_out.mean() == means(runs, evaluator)[1]


def test_copies_of_a_run_add_nothing() -> None:
    (run,), evaluator = members([0.5], 60, 3), judge(60)
    assert fit([run, run.with_scores(run.scores * 2), run], evaluator).weights == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("queries", [5, 15, 50])
def test_with_few_queries_it_holds_on_new_ones(queries: int) -> None:
    """On average, its score on 400 other queries exceeds that of the run that looked best."""
    new, chosen, single = judge(400), [], []
    for seed in range(12):
        everything = members([0.7, 0.75, 0.8, np.inf], queries + 400, seed)
        seen = [_part(run, 0, queries) for run in everything]
        unseen = [_part(run, queries, queries + 400) for run in everything]
        fitted = fit(seen, judge(queries), seed)
        fused = fuse(unseen, fitted.weights, FORWARD)
        chosen.append(means([fused], new)[0])
        best = int(np.argmax(means(seen, judge(queries))))
        single.append(means(unseen, new)[best])
    assert np.mean(chosen) > np.mean(single)


def _part(run: Run, start: int, stop: int) -> Run:
    rows = list(run.to_dict().values())[start:stop]
    return Run.from_dict({f"q{i}": row for i, row in enumerate(rows)}, run.name)


def test_it_is_deterministic_and_needs_one_query() -> None:
    runs, evaluator = members([0.6, 0.7, 0.8], 40, 5), judge(40)
    first, second = fit(runs, evaluator, 3), fit(runs, evaluator, 3)
    assert first.weights == second.weights
    assert np.array_equal(first.held_out, second.held_out)
    terms = fusion_terms(align(runs).runs, FORWARD)
    trials = Trials(terms, lambda run: evaluator.per_query(run, "ndcg@5"))
    queries = np.arange(40) == 7
    values = [trials.mean(steps, queries) for steps in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    steps = ForwardSelection(5, 0)(trials, queries)
    assert steps == tuple(int(i == np.argmax(values)) for i in range(3))


def test_without_a_relevant_candidate_the_first_run_is_taken() -> None:
    runs = members([0.6, 0.7], 10, 6)
    nothing = Evaluator(Qrels({f"q{i}": {"elsewhere": 1} for i in range(10)}))
    assert fit(runs, nothing).weights == (1.0, 0.0)
