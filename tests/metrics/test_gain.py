"""Metric names, and values by hand."""

from __future__ import annotations

from math import log2

import pytest

from shopsight.errors import UsageError
from shopsight.metrics.evaluate import Evaluator
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
    ],
)
def test_by_hand(name: str, expected: float) -> None:
    assert Evaluator(QRELS).per_query(RUN, name).tolist() == pytest.approx([expected])


def test_grades_are_linear_gains() -> None:
    expected = (1 / log2(3) + 3 / log2(5)) / (3 + 2 / log2(3) + 1 / 2)
    assert Evaluator(GRADED).per_query(RUN, "ndcg@5").tolist() == pytest.approx([expected])


def test_names() -> None:
    assert parse_metric(" NDCG@5 ") == Metric("ndcg", 5)
    assert str(parse_metric("mrr")) == "mrr"
    assert str(parse_metric("hit@10")) == "hit@10"


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
        ("", "unknown metric ''"),
    ],
)
def test_invalid_names(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        parse_metric(name)
