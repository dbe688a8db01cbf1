"""Tables of words."""

from __future__ import annotations

from shopsight.config import EvaluateConfig
from shopsight.metrics.evaluate import bootstrap_interval, evaluate
from shopsight.metrics.significance import compare
from shopsight.ranking.audit import audit
from shopsight.reports.tables import audit_grids, comparison_grid, evaluation_grid, rich_table
from shopsight.types import Pools, Qrels, Run

RUN = Run.from_dict({"1": {"a": 0.5, "b": 0.1}, "2": {"a": 0.1, "b": 0.2}}, "mine")
QRELS = Qrels({"1": {"a": 1}, "2": {"b": 1}})


def test_evaluation() -> None:
    grid = evaluation_grid(evaluate(RUN, QRELS, EvaluateConfig(("mrr",))), 0.9)
    assert grid.columns == ("metric", "mean", "90% interval", "queries")
    assert grid.rows == (("mrr", "1.0000", "[1.0000, 1.0000]", "2"),)


def test_comparison() -> None:
    grid = comparison_grid(compare([RUN, RUN], QRELS), 0.95)
    assert grid.columns == ("run", "ndcg@5", "recall@10", "mrr")
    assert [row[0] for row in grid.rows] == ["a  mine", "b  mine"]
    assert grid.rows[0][1] == "1.0000   [1.0000, 1.0000]"


def test_audit_counts_many_pools_together() -> None:
    pools = {str(q): ["x", *(["y"] if q < 5 else [])] for q in range(9)}
    qrels = Qrels({"0": {"x": 1}})
    grids = audit_grids(audit(Pools.from_dict(pools), qrels, bootstrap_interval))
    assert grids[1].rows == (("5", "1", "0", "0.0%"), ("6 or more", "1", "1", "100.0%"))
    assert ("queries without candidates", "none") in grids[0].rows
    assert ("pool, but no answers", "8 (1, 2, 3, ...)") in grids[2].rows


def test_words_in_brackets_are_no_markup() -> None:
    table = rich_table(evaluation_grid(evaluate(RUN, QRELS, EvaluateConfig(("mrr",))), 0.95))
    assert (len(table.columns), table.row_count) == (4, 1)
