"""Evaluation equals a naive version and trec_eval, ties included."""

from __future__ import annotations

import shutil
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsight.config import EvaluateConfig
from shopsight.errors import UsageError
from shopsight.metrics.evaluate import Evaluator, bootstrap_interval, evaluate
from shopsight.types import Qrels, Run

Scores = dict[str, dict[str, float]]
Grades = dict[str, dict[str, int]]
ids = st.text("0129ab", min_size=1, max_size=2)
# Quarters tie often and are exact in the float32 of trec_eval.
scores = st.dictionaries(
    ids, st.dictionaries(ids, st.integers(-3, 3).map(lambda n: n / 4), min_size=1, max_size=8)
)
grades = st.dictionaries(
    ids, st.dictionaries(ids, st.integers(0, 3), min_size=1, max_size=8), min_size=1, max_size=5
)
binary = st.dictionaries(
    ids, st.dictionaries(ids, st.integers(0, 1), min_size=1, max_size=8), min_size=1, max_size=5
)
METRICS = ("ndcg@3", "ndcg", "recall@3", "recall", "precision@3", "mrr", "mrr@2", "map", "map@3")


def naive_metric(metric: str, ranked: list[str], judged: dict[str, int]) -> float:
    """The value of a query, in plain loops."""
    kind, _, cut = metric.partition("@")
    k = int(cut) if cut else 10**9
    gains = [max(judged.get(product, 0), 0) for product in ranked[:k]]
    relevant = sum(grade > 0 for grade in judged.values())
    hits = sum(gain > 0 for gain in gains)
    if kind == "ndcg":
        ideal = sorted((max(grade, 0) for grade in judged.values()), reverse=True)[:k]
        best = sum(gain / log2(i + 2) for i, gain in enumerate(ideal))
        return sum(gain / log2(i + 2) for i, gain in enumerate(gains)) / best if best else 0.0
    if kind == "recall":
        return hits / relevant if relevant else 0.0
    if kind == "precision":
        return hits / k
    if kind == "hit":
        return float(hits > 0)
    first = [i for i, gain in enumerate(gains) if gain]
    if kind == "mrr":
        return 1 / (first[0] + 1) if first else 0.0
    precisions = [(count + 1) / (idx + 1) for count, idx in enumerate(first)]
    return sum(precisions) / relevant if relevant else 0.0


@given(given_scores=scores, judged=grades)
def test_equals_naive(given_scores: Scores, judged: Grades) -> None:
    metrics = (*METRICS, "hit@1", "hit@4")
    config = EvaluateConfig(metrics, resamples=1)
    result = evaluate(Run.from_dict(given_scores), Qrels(judged), config)
    for i, query in enumerate(judged):
        pool = given_scores.get(query, {})
        ranked = sorted(pool, key=lambda product: (pool[product], product), reverse=True)
        for metric in metrics:
            expected = naive_metric(metric, ranked, judged[query])
            assert result.per_query[metric][i] == pytest.approx(expected), (metric, query)


@given(given_scores=scores, judged=binary, graded=grades)
def test_equals_trec_eval(given_scores: Scores, judged: Grades, graded: Grades) -> None:
    ir_measures = pytest.importorskip("ir_measures")
    from ir_measures import AP, RR, P, R, nDCG

    theirs = {
        "ndcg@3": nDCG @ 3,
        "ndcg": nDCG,
        "recall@3": R @ 3,
        "precision@3": P @ 3,
        "mrr": RR,
        "map": AP,
        "map@3": AP @ 3,
    }
    for answers, names in ((judged, list(theirs)), (graded, ["ndcg@3", "ndcg", "recall@3"])):
        evaluator, run = Evaluator(Qrels(answers)), Run.from_dict(given_scores)
        ours = {name: evaluator.per_query(run, name) for name in names}
        provider = ir_measures.pytrec_eval.evaluator([theirs[name] for name in names], answers)
        for row in provider.iter_calc(given_scores):
            name = next(name for name in names if theirs[name] == row.measure)
            value = ours[name][evaluator.query_ids.index(row.query_id)]
            assert value == pytest.approx(row.value, abs=1e-9), (name, row.query_id)


@given(given_scores=scores, graded=grades, at_least=st.integers(1, 3))
def test_a_lowest_grade_equals_trec_eval(
    given_scores: Scores, graded: Grades, at_least: int
) -> None:
    ir_measures = pytest.importorskip("ir_measures")
    from ir_measures import AP, RR, P, R, Success

    theirs = {
        "recall@3": R(rel=at_least) @ 3,
        "precision@3": P(rel=at_least) @ 3,
        "mrr": RR(rel=at_least),
        "map": AP(rel=at_least),
        "success@2": Success(rel=at_least) @ 2,
    }
    evaluator, run = Evaluator(Qrels(graded), at_least=at_least), Run.from_dict(given_scores)
    ours = {name: evaluator.per_query(run, name) for name in theirs}
    for row in ir_measures.iter_calc(list(theirs.values()), graded, given_scores):
        name = next(name for name in theirs if theirs[name] == row.measure)
        value = ours[name][evaluator.query_ids.index(row.query_id)]
        assert value == pytest.approx(row.value, abs=1e-9), (name, row.query_id)


@pytest.mark.skipif(shutil.which("perl") is None, reason="gdeval is a Perl program")
def test_exponential_gains_equal_gdeval() -> None:
    ir_measures = pytest.importorskip("ir_measures")
    from ir_measures import ERR, nDCG

    rng = np.random.default_rng(0)
    queries = [str(query) for query in range(30)]
    products = [f"p{product}" for product in range(40)]
    # gdeval orders ties as trec_eval does; three decimals make some.
    given = {
        q: {p: float(round(rng.random(), 1)) for p in rng.choice(products, 25, replace=False)}
        for q in queries
    }
    graded = {
        q: {str(p): int(rng.integers(-1, 5)) for p in rng.choice(products, 20, replace=False)}
        for q in queries
    }
    graded["0"]["p0"] = 4  # the highest grade of gdeval
    evaluator, run = Evaluator(Qrels(graded)), Run.from_dict(given)
    theirs = {"err@10": ERR @ 10, "ndcg_exp@10": nDCG(dcg="exp-log2") @ 10}
    ours = {name: evaluator.per_query(run, name) for name in theirs}
    rows = list(ir_measures.iter_calc(list(theirs.values()), graded, given))
    assert len(rows) == 60
    for row in rows:
        name = next(name for name in theirs if theirs[name] == row.measure)
        value = ours[name][evaluator.query_ids.index(row.query_id)]
        assert value == pytest.approx(row.value, abs=6e-6), (name, row.query_id)


def test_mean_is_over_queries_with_judgements() -> None:
    run = Run.from_dict({"1": {"a": 1.0}, "9": {"a": 1.0}})
    qrels = Qrels({"1": {"a": 1}, "2": {"a": 1}, "3": {"a": 0}})
    result = evaluate(run, qrels, EvaluateConfig(("ndcg@5",)))
    assert result.estimates["ndcg@5"].mean == pytest.approx(1 / 3)
    assert result.estimates["ndcg@5"].queries == 3
    assert (result.unranked, result.ignored, result.without_relevant) == (
        ("2", "3"),
        ("9",),
        ("3",),
    )


def test_evaluator_serves_many_runs_and_pools() -> None:
    evaluator = Evaluator(Qrels({"1": {"a": 1}}))
    run = Run.from_dict({"1": {"a": 1.0, "b": 0.0}})
    other = Run.from_dict({"1": {"c": 1.0, "b": 0.5, "a": 0.0}})
    assert evaluator.per_query(run, "mrr").tolist() == [1.0]
    assert evaluator.per_query(run.with_scores(np.array([0.0, 1.0])), "mrr").tolist() == [0.5]
    assert evaluator.per_query(other, "mrr").tolist() == [1 / 3]
    assert evaluator.per_query(run, "mrr").tolist() == [1.0]


def test_interval_of_constants_is_a_point() -> None:
    assert bootstrap_interval(np.full(30, 0.25)) == (0.25, 0.25)


def test_interval_is_close_to_the_normal_one() -> None:
    values = np.random.default_rng(0).random(2000)
    low, high = bootstrap_interval(values)
    error = 1.96 * values.std() / np.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - error, values.mean() + error), abs=2e-3)


def test_same_seed_same_interval() -> None:
    values = np.random.default_rng(0).random(100_000)  # more than one chunk holds
    config = EvaluateConfig(resamples=20)
    assert bootstrap_interval(values, config, 3) == bootstrap_interval(values, config, 3)
    assert bootstrap_interval(values, config, 3) != bootstrap_interval(values, config, 4)


@pytest.mark.parametrize("config", [EvaluateConfig(resamples=0), EvaluateConfig(confidence=1.0)])
def test_invalid_interval_settings(config: EvaluateConfig) -> None:
    with pytest.raises(UsageError, match="at least 1 resample and a confidence between 0 and 1"):
        bootstrap_interval(np.ones(3), config)


def test_without_metrics() -> None:
    run = Run.from_dict({"1": {"a": 1.0}})
    assert evaluate(run, Qrels({"1": {"a": 1}}), EvaluateConfig(())).estimates == {}
