"""Results as tables of text and HTML, dicts and data frames."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from shopsight.config import EvaluateConfig
from shopsight.errors import UsageError
from shopsight.metrics.evaluate import bootstrap_interval, evaluate
from shopsight.metrics.significance import compare
from shopsight.ranking.audit import audit
from shopsight.tables import Grid, Tabular, html_table, plain, rich_table, text_table
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


def test_brackets_are_text_and_not_markup() -> None:
    text = text_table(Grid(("[bold]a", "b"), (("[red]x[/red]", ":smile:"),), "[note]"))
    assert "[bold]a" in text
    assert "[red]x[/red]" in text
    assert ":smile:" in text
    assert text.endswith("[note]\n")


def test_html() -> None:
    grid = Grid(("a",), (("<1>",), ("2",)), "n & m")
    html = html_table(grid)
    assert "&lt;1&gt;" in html
    assert html.endswith("<p>n &amp; m</p>")
    with_images = html_table(grid, ["data:x", ""])
    assert with_images.count("<td>") == 4
    assert '<img src="data:x"' in with_images


def test_plain_values() -> None:
    assert plain({1: (np.float64(0.5), np.array([1, 2]))}) == {"1": [0.5, [1, 2]]}


class Rows(Tabular):
    def __init__(self) -> None:
        self.values, self._hidden = (1, 2), None

    def grids(self) -> list[Grid]:
        return [Grid(("n",), tuple((str(value),) for value in self.values))]

    def records(self) -> list[dict[str, int]]:
        return [{"n": value} for value in self.values]


def test_tabular(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows()
    assert rows.to_dict() == {"values": [1, 2]}
    assert "1" in str(rows)
    assert rows._repr_html_().count("<tr>") == 3
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pip install pandas"):
        rows.to_dataframe()


def test_data_frame() -> None:
    pytest.importorskip("pandas")
    assert Rows().to_dataframe()["n"].tolist() == [1, 2]
