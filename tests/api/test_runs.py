"""Runs and judgements from dicts, data frames and files, and back."""

from __future__ import annotations

import gzip
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from shopsight import types
from shopsight.api.runs import (
    Qrels,
    Run,
    as_candidates,
    as_qrels,
    as_run,
    as_runs,
    read_qrels,
    read_run,
)
from shopsight.errors import OutputError, UsageError
from shopsight.formats.qrels import read_qrels as read_core_qrels

SCORES = {"q1": {"a": 2.0, "b": 0.5}, "q2": {"c": 1.0}}
GRADES = {"q1": {"a": 2, "b": 0}, "q2": {"c": 1}}


class Frame:
    """The part of a pandas data frame that is read, for machines without pandas."""

    def __init__(self, columns: dict[str, list[object]]) -> None:
        self._columns = columns
        self.columns = list(columns)

    def __getitem__(self, name: str) -> np.ndarray:
        return np.array(self._columns[name], object)


def frame(**columns: list[object]) -> Frame:
    return Frame(columns)


@pytest.mark.parametrize("name", ["r.json", "r.trec", "r.csv", "r.tsv", "r.json.gz"])
def test_run_round_trip(tmp_path: Path, name: str) -> None:
    Run.from_dict(SCORES, "r").save(tmp_path / name)
    again = read_run(tmp_path / name)
    assert isinstance(again, Run)
    assert (again.to_dict(), again.name) == (SCORES, "r")
    if name.endswith(".gz"):
        assert gzip.decompress((tmp_path / name).read_bytes())[:1] == b"{"


@pytest.mark.parametrize("name", ["q.json", "q.trec", "q.qrels", "q.txt"])
def test_qrels_round_trip(tmp_path: Path, name: str) -> None:
    Qrels.from_dict(GRADES).save(tmp_path / name)
    assert read_core_qrels(tmp_path / name).relevance == GRADES
    is_json = (tmp_path / name).read_text().startswith("{")
    assert is_json == name.endswith(".json")


def test_run_from_data_frame() -> None:
    ids = {"query_id": [1, 1, "q2"], "product_id": ["a", "b", "c"]}
    run = Run.from_dataframe(frame(**ids, score=[np.float32(2), 0.5, 1]))
    assert run.to_dict() == {"1": {"a": 2.0, "b": 0.5}, "q2": {"c": 1.0}}


def test_qrels_from_data_frame() -> None:
    ids = {"query_id": ["q1", "q1"], "product_id": ["a", "b"]}
    assert Qrels.from_dataframe(frame(**ids, grade=[np.int64(1), 0])).relevance == {
        "q1": {"a": 1, "b": 0}
    }


def test_pandas_round_trip() -> None:
    pd = pytest.importorskip("pandas")
    run = Run.from_dict(SCORES)
    table = run.to_dataframe()
    assert table.columns.tolist() == ["query_id", "product_id", "score", "rank"]
    assert Run.from_dataframe(table).to_dict() == SCORES
    qrels = Qrels.from_dict(GRADES)
    assert Qrels.from_dataframe(pd.DataFrame(qrels.records())).relevance == GRADES


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"query_id": ["q"], "score": [1]}, "the data frame: the header names no product column"),
        ({"a": ["q"], "b": [1]}, "the data frame: no columns of queries, products and scores"),
        (
            {"query_id": ["q"] * 2, "product_id": ["a"] * 2, "score": [1, 2]},
            "duplicate product 'a' for query 'q'",
        ),
        (
            {"query_id": ["q"], "product_id": ["a"], "score": [float("nan")]},
            "query 'q': score nan is not a finite number",
        ),
        ({"query_id": ["q"], "product_id": [None], "score": [1]}, "product id None is not"),
    ],
)
def test_invalid_data_frame(columns: dict[str, list[object]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Run.from_dataframe(frame(**columns))


@pytest.mark.parametrize(
    "names", [("q_id", "doc_id", "score"), ("qid", "docno", "bm25"), ("query-id", "corpus-id", "s")]
)
def test_data_frames_of_other_libraries(names: tuple[str, str, str]) -> None:
    query, product, score = names
    table = frame(**{score: [2.0, 0.5], "text": ["x", "y"], product: ["a", "b"], query: ["q", "q"]})
    assert as_run(table).to_dict() == {"q": {"a": 2.0, "b": 0.5}}  # type: ignore[arg-type]


def test_ranks_of_a_data_frame() -> None:
    table = frame(qid=["q", "q"], docno=["a", "b"], rank=[2, 1])
    assert list(as_run(table).to_dict()["q"]) == ["b", "a"]  # type: ignore[arg-type]


def test_objects_of_ranx_and_ir_datasets() -> None:
    ranx = SimpleNamespace(name="bm25", to_dict=lambda: {"q": {"a": np.float64(2)}})
    assert (as_run(ranx).name, as_run(ranx).to_dict()) == ("bm25", {"q": {"a": 2.0}})
    assert as_qrels(ranx).relevance == {"q": {"a": 2}}
    rows = [SimpleNamespace(query_id="q", doc_id="a", relevance=1, score=0.5)]
    dataset = SimpleNamespace(qrels_iter=lambda: iter(rows), scoreddocs_iter=lambda: iter(rows))
    assert as_run(dataset).to_dict() == {"q": {"a": 0.5}}
    assert as_qrels(dataset).relevance == {"q": {"a": 1}}
    with pytest.raises(UsageError, match="a int is neither a file nor a table of scores"):
        as_run(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "scores",
    [{1: {"a": 1.0}, "1": {"b": 1.0}}, {"q": {1: 1.0, "1": 2.0}}, {1.0: {}, "1": {}}],
)
def test_an_id_as_text_and_as_a_number_is_a_duplicate(scores: Any) -> None:
    with pytest.raises(UsageError, match="an id occurs twice, as text and as a number"):
        Run.from_dict(scores)


def test_qrels_that_cannot_be_trec_are_rejected(tmp_path: Path) -> None:
    qrels = Qrels.from_dict({"red shoe": ["a"]})
    with pytest.raises(OutputError, match="cannot hold the blanks in 'red shoe 0 a 1'"):
        qrels.save(tmp_path / "qrels.txt")
    assert list(tmp_path.iterdir()) == []
    qrels.save(tmp_path / "qrels.json.gz")
    assert gzip.decompress((tmp_path / "qrels.json.gz").read_bytes())[:1] == b"{"
    assert read_qrels(tmp_path / "qrels.json.gz").relevance == {"red shoe": {"a": 1}}


def test_invalid_grade() -> None:
    with pytest.raises(UsageError, match=r"query 'q': grade 0\.5 is not a whole number"):
        Qrels.from_dict({"q": {"a": 0.5}})  # type: ignore[dict-item]


def test_coercions(tmp_path: Path) -> None:
    core = types.Run.from_dict(SCORES, "core")
    assert isinstance(as_run(core), Run)
    assert as_run(core).name == "core"
    assert as_run(SCORES).to_dict() == SCORES
    as_run(SCORES).save(tmp_path / "r.tsv")
    assert as_run(str(tmp_path / "r.tsv")).to_dict() == SCORES
    assert as_qrels({"q1": ["a"]}).relevance == {"q1": {"a": 1}}
    qrels = types.Qrels(GRADES)
    assert as_qrels(qrels) is qrels
    assert as_candidates({"q": ["a", "b"]}).pools.of("q") == ["a", "b"]
    assert as_candidates(core).pools is core.pools


def test_runs_of_the_same_name_get_distinct_names(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        as_run(SCORES).save(tmp_path / folder / "r.tsv")
    paths = [tmp_path / "x" / "r.tsv", tmp_path / "y" / "r.tsv"]
    runs = as_runs([*paths, SCORES, SCORES])
    assert [run.name for run in runs] == [*map(str, paths), "run", "run again"]


def test_notebook_table() -> None:
    html = Run.from_dict({"<q>": {"a": 1.0}})._repr_html_()
    assert "<td>&lt;q&gt;</td>" in html
    assert repr(Qrels.from_dict(GRADES)) == "Qrels(2 queries, 3 judgements)"
    assert "b" not in Qrels.from_dict(GRADES).grids()[0].rows[0][1]
