"""Ids that a run and its judgements spell differently are named, and only those."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import shopsight as ss
from shopsight.errors import UsageError
from shopsight.formats.fields import loose_id
from shopsight.metrics.coverage import coverage_warnings, require_common_queries
from shopsight.types import Qrels, Run


def warnings(run: dict[str, Any], answers: dict[str, Any]) -> list[str]:
    return coverage_warnings(Run.from_dict(run), Qrels(answers))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("12", "0012"), ("12.0", "12"), ("a-1", "A-1"), ("x", " x"), ("0", "000"), ("ｘ", "Ｘ ")],
)
def test_products_that_are_spelt_differently(ours: str, theirs: str) -> None:
    run = {"q": {ours: 1.0, "other": 0.5}, "r": {"fine": 1.0}}
    (sentence,) = warnings(run, {"q": {theirs: 1}, "r": {"fine": 2}})
    assert sentence.startswith("only 1 of 2 relevant products is a candidate of its query")
    assert f"the run has {ours!r}, the answers {theirs!r}, which differ only in zeros" in sentence


def test_no_product_in_common() -> None:
    (sentence,) = warnings({"q": {"a": 1.0}, "r": {"b": 1.0}}, {"q": {"x": 1}, "r": {"y": 1}})
    assert sentence == (
        "none of 2 relevant products is a candidate of its query: of query 'q': the run has 'a',"
        " the answers 'x'"
    )


def test_hardly_any_product_in_common() -> None:
    run = {f"q{i}": {"a": 1.0} for i in range(40)}
    answers = {f"q{i}": {"a" if i < 2 else "b": 1} for i in range(40)}
    assert warnings(run, answers)[0].startswith("only 2 of 40 relevant products are a candidate")
    more = answers | {"q7": {"a": 1}}
    assert warnings(run, more) == []


def test_what_is_merely_missed_is_no_warning() -> None:
    """A product of other pools, a grade of 0 and a query that is not ranked are ordinary."""
    run = {"q": {"a": 1.0, "b": 0.5}, "r": {"c": 1.0}}
    assert warnings(run, {"q": {"a": 1, "c": 1}, "r": {"C": 0, "c": 1}, "s": {"0a": 1}}) == []


def test_queries_that_are_spelt_differently() -> None:
    run = {"1": {"a": 1.0}, "7": {"a": 1.0}}
    (sentence,) = warnings(run, {"1": {"a": 1}, "07": {"a": 1}})
    assert sentence.startswith("the run has query '7', the answers '07', which differ only in")


def test_ids_that_differ_by_more_are_different() -> None:
    assert len({loose_id(text) for text in ("1", "10", "1.5", "-1", "1e0", "a1", "1a")}) == 7


def test_no_common_query_is_an_error() -> None:
    run = Run.from_dict({"1": {"a": 1.0}})
    require_common_queries(run, ["1", "2"])
    with pytest.raises(UsageError, match=r"no query in common with the answers .*'1', .*'001', wh"):
        require_common_queries(run, ["3", "001"])


@pytest.mark.parametrize(
    "call",
    [
        lambda run, answers: ss.evaluate(run, answers),
        lambda run, answers: ss.compare([run, run], answers),
        lambda run, answers: ss.fuse([run, run], answers),
        lambda run, answers: ss.fuse([run, answers], weights=(0.5, 0.5)),
    ],
)
def test_every_call_checks_queries(call: Any) -> None:
    run = {"1": {"a": 1.0}, "2": {"b": 1.0}}
    with pytest.raises(UsageError, match="no query in common with"):
        call(run, {"q1": {"a": 1}, "q2": {"b": 1}})


def test_evaluate_warns(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "shopsight"):
        ss.evaluate({"1": {"7": 1.0}}, {"1": ["007"]})
    assert "the run has '7', the answers '007'" in caplog.text
