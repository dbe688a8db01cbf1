"""Core data types: construction, conversion, display."""

from __future__ import annotations

from shopsight.types import Pools, Qrels, Run

SCORES = {"q1": {"a": 0.5, "b": 2.0}, "q2": {}}


def test_pools() -> None:
    pools = Pools.from_dict({"q1": ["b", "a"], "q2": [], "q3": ["b"]})
    assert pools.sizes.tolist() == [2, 0, 1]
    assert pools.query_idx.tolist() == [0, 0, 2]
    assert pools.id_rank.tolist() == [1, 0, 1]
    assert pools.product_ids[pools.by_id_descending].tolist() == ["b", "a", "b"]
    assert pools.to_dict() == {"q1": ["b", "a"], "q2": [], "q3": ["b"]}
    assert repr(pools) == "Pools(3 queries, 3 candidates)"


def test_run_is_shown_best_first() -> None:
    run = Run.from_dict(SCORES, "mine")
    assert run.to_dict() == {"q1": {"b": 2.0, "a": 0.5}, "q2": {}}
    assert [row["rank"] for row in run.records()] == [1, 2]
    assert run.grids()[0].rows == (("q1", "2", "b, a"), ("q2", "0", ""))
    assert repr(run) == "Run('mine', 2 queries, 2 candidates)"


def test_scores_are_replaced_in_the_class_of_the_run() -> None:
    class Own(Run):
        pass

    run = Own.from_dict(SCORES, "mine").with_scores([1.0, 0.0])  # type: ignore[arg-type]
    assert (type(run), run.name) == (Own, "mine")


def test_long_tables_are_cut() -> None:
    qrels = Qrels({str(i): {"a": 1, "b": 0} for i in range(12)})
    (grid,) = qrels.grids()
    assert (len(grid.rows), grid.note) == (10, "2 more queries")
    assert qrels.to_dict()["0"] == {"a": 1, "b": 0}
    assert len(qrels.records()) == 24
