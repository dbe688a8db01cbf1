"""Tables of text."""

from __future__ import annotations

from shopsight.config import EvaluateConfig
from shopsight.metrics.evaluate import bootstrap_interval, evaluate
from shopsight.metrics.significance import compare
from shopsight.ranking.audit import audit
from shopsight.tables import rich_table
from shopsight.types import Pools, Qrels, Run

RUN = Run.from_dict({"1": {"a": 0.5, "b": 0.1}, "2": {"a": 0.1, "b": 0.2}}, "mine")
QRELS = Qrels({"1": {"a": 1}, "2": {"b": 1}})


def test_evaluation() -> None:
    grid = evaluate(RUN, QRELS, EvaluateConfig(("mrr",), confidence=0.9)).grids()[0]
    assert grid.columns == ("metric", "mean", "90% interval", "queries")
    assert grid.rows == (("mrr", "1.0000", "[1.0000, 1.0000]", "2"),)


def test_comparison() -> None:
    grid = compare([RUN, RUN], QRELS).grids()[0]
    assert grid.columns == ("run", "ndcg@5", "recall@10", "mrr")
    assert [row[0] for row in grid.rows] == ["a  mine", "b  mine"]
    assert grid.rows[0][1] == "1.0000   [1.0000, 1.0000]"


def test_audit_merges_large_pool_counts() -> None:
    pools = {str(q): ["x", *(["y"] if q < 5 else [])] for q in range(9)}
    qrels = Qrels({"0": {"x": 1}})
    grids = audit(Pools.from_dict(pools), qrels, bootstrap_interval).grids()
    assert grids[1].rows == (("5", "1", "0", "0.0%"), ("6 or more", "1", "1", "100.0%"))
    assert ("queries without candidates", "none") in grids[0].rows
    assert ("pool, but no answers", "8 (1, 2, 3, ...)") in grids[2].rows


def test_rich_table() -> None:
    table = rich_table(evaluate(RUN, QRELS, EvaluateConfig(("mrr",))).grids()[0])
    assert (len(table.columns), table.row_count) == (4, 1)
