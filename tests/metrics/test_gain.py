"""Metric names, and values by hand."""

from __future__ import annotations

from math import log2

import pytest

from shopsight.config import EvaluateConfig
from shopsight.errors import UsageError
from shopsight.metrics.evaluate import Evaluator, evaluate
from shopsight.metrics.gain import Metric, parse_metric
from shopsight.types import Qrels, Run

# Ranking: x1 r2 x3 r4 r5 (r relevant); a fourth relevant product, "far", is not a candidate.
RUN = Run.from_dict({"q": {"x1": 5.0, "r2": 4.0, "x3": 3.0, "r4": 2.0, "r5": 1.0}})
QRELS = Qrels({"q": {"r2": 1, "r4": 1, "r5": 1, "far": 1, "x1": 0, "x3": -1}})
GRADED = Qrels({"q": {"r2": 1, "r4": 3, "far": 2}})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ndcg@1", 0.0),
        ("ndcg@2", (1 / log2(3)) / (1 + 1 / log2(3))),
        (
            "ndcg@5",
            (1 / log2(3) + 1 / log2(5) + 1 / log2(6)) / (1 + 1 / log2(3) + 1 / 2 + 1 / log2(5)),
        ),
        (
            "ndcg",
            (1 / log2(3) + 1 / log2(5) + 1 / log2(6)) / (1 + 1 / log2(3) + 1 / 2 + 1 / log2(5)),
        ),
        ("recall@4", 2 / 4),
        ("recall", 3 / 4),
        ("precision@4", 2 / 4),
        ("precision@10", 3 / 10),
        ("mrr", 1 / 2),
        ("mrr@2", 1 / 2),
        ("mrr@1", 0.0),
        ("map", (1 / 2 + 2 / 4 + 3 / 5) / 4),
        ("map@4", (1 / 2 + 2 / 4) / 4),
        ("hit@1", 0.0),
        ("hit@2", 1.0),
        ("success@2", 1.0),
        ("success@1", 0.0),
        ("rbp", 0.2 * (0.8 + 0.8**3 + 0.8**4)),
        ("rbp:0.5@4", 0.5 * (0.5 + 0.5**3)),
        ("judged@1", 1.0),
        ("judged@10", 5 / 10),
        # Each of the relevant ones satisfies with probability 1/2.
        ("err", 1 / 2 / 2 + 1 / 2 * 1 / 2 / 4 + 1 / 4 * 1 / 2 / 5),
        ("err@4", 1 / 2 / 2 + 1 / 2 * 1 / 2 / 4),
    ],
)
def test_by_hand(name: str, expected: float) -> None:
    assert Evaluator(QRELS).per_query(RUN, name).tolist() == pytest.approx([expected])


def test_grades_are_linear_gains() -> None:
    expected = (1 / log2(3) + 3 / log2(5)) / (3 + 2 / log2(3) + 1 / 2)
    assert Evaluator(GRADED).per_query(RUN, "ndcg@5").tolist() == pytest.approx([expected])


def test_exponential_gains() -> None:
    """Grade 3 gains 7, and satisfies with probability 7/8."""
    expected = (1 / log2(3) + 7 / log2(5)) / (7 + 3 / log2(3) + 1 / 2)
    assert Evaluator(GRADED).per_query(RUN, "ndcg_exp@5").tolist() == pytest.approx([expected])
    result = evaluate(RUN, GRADED, EvaluateConfig(("ndcg@5", "mrr"), gain="exponential"))
    assert list(result.per_query) == ["ndcg_exp@5", "mrr"]
    assert result["ndcg_exp@5"] == pytest.approx(expected)
    err = Evaluator(GRADED).per_query(RUN, "err")
    assert err.tolist() == pytest.approx([1 / 8 / 2 + 7 / 8 * 7 / 8 / 4])


def test_the_lowest_relevant_grade() -> None:
    evaluator = Evaluator(GRADED, at_least=2)
    for name, expected in (
        ("recall", 1 / 2),
        ("mrr", 1 / 4),
        ("precision@4", 1 / 4),
        ("map", 1 / 8),
    ):
        assert evaluator.per_query(RUN, name).tolist() == [expected]
    assert evaluator.per_query(RUN, "rbp").tolist() == pytest.approx([0.2 * 0.8**3])
    for name in ("ndcg@5", "err", "judged@3"):
        assert evaluator.per_query(RUN, name) == Evaluator(GRADED).per_query(RUN, name)
    result = evaluate(RUN, GRADED, EvaluateConfig(("mrr",), at_least=4))
    assert (result["mrr"], result.without_relevant) == (0.0, ("q",))
    assert "Relevant is grade 4 or more" in str(result)


def test_condensed_lists() -> None:
    """x3 and r5 have no judgement: r2 is first, r4 second, x1 (grade 0) third."""
    qrels = Qrels({"q": {"r2": 1, "r4": 3, "x1": 0}, "r": {"a": 1}})
    run = Run.from_dict({"q": {"x3": 5.0, "r2": 4.0, "r5": 3.0, "r4": 2.0, "x1": 1.0}})
    evaluator = Evaluator(qrels, condensed=True)
    assert evaluator.per_query(run, "map").tolist() == [1.0, 0.0]
    assert evaluator.per_query(run, "judged@2").tolist() == [1.0, 0.0]
    assert Evaluator(qrels).per_query(run, "map").tolist() == [1 / 2, 0.0]
    assert "Condensed" in str(evaluate(run, qrels, EvaluateConfig(("mrr",), condensed=True)))


def test_large_grades() -> None:
    qrels = Qrels({"q": {"r2": 10**6, "r4": 10**6 - 1}})
    assert Evaluator(qrels).per_query(RUN, "err").tolist() == pytest.approx([1 / 2])
    with pytest.raises(UsageError, match="too large for the gain"):
        Evaluator(qrels).per_query(RUN, "ndcg_exp")


def test_names() -> None:
    assert parse_metric(" NDCG@5 ") == Metric("ndcg", 5)
    assert str(parse_metric("mrr")) == "mrr"
    assert str(parse_metric("hit@10")) == "hit@10"
    assert str(parse_metric("RBP:.9@10")) == "rbp:0.9@10"
    assert str(parse_metric("ndcg", "exponential")) == "ndcg_exp"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ndgc@5", "unknown metric 'ndgc'; did you mean 'ndcg'?"),
        ("ndcg@0", "the cut-off after @ must be a whole number above 0"),
        ("ndcg@", "the cut-off after @"),
        ("ndcg@-1", "the cut-off after @"),
        ("ndcg@x", "the cut-off after @"),
        ("precision", "metric 'precision' needs a cut-off, such as precision@5"),
        ("hit", "metric 'hit' needs a cut-off"),
        ("judged", "metric 'judged' needs a cut-off"),
        ("rbp:1", "its persistence: rbp:0.95"),
        ("rbp:0", "its persistence: rbp:0.95"),
        ("rbp:0.0", "its persistence: rbp:0.95"),
        ("mrr:0.5", "only rbp has a parameter"),
        ("", "unknown metric ''"),
    ],
)
def test_invalid_names(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        parse_metric(name)
