"""Runs are read by content, whatever the file is called, and written so that they read back."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsight.errors import InputError, OutputError, UsageError
from shopsight.formats.candidates import read_candidates
from shopsight.formats.runs import read_run, run_name, write_run
from shopsight.types import Run

Scores = dict[str, dict[str, float]]
EXPECTED: Scores = {"344": {"7": 0.5, "10": -1.25}, "q2": {"7": 3e-7}}
SHAPES = {
    "reference": '{"344": [["7", 0.5], ["10", -1.25]], "q2": [["7", 3e-7]]}',
    "integers": '{"344": [[7, 0.5], [10, -1.25]], "q2": [[7, 3e-7]]}',
    "object": '{"344": {"7": 0.5, "10": -1.25}, "q2": {"7": 3e-7}}',
    "mixed": '\n {"344": {"7": 0.5, "10": -1.25},\n "q2": [["7", 3e-7]]}\n',
    "trec": "344 Q0 7 1 0.5 tag\n344 Q0 10 2 -1.25 tag\nq2 Q0 7 1 3e-7 tag\n",
    "trec tabs": "344\tQ0\t7\t1\t0.5\ttag\nq2\tQ0\t7\t1\t3e-7\ttag\n344\tQ0\t10\t2\t-1.25\ttag\n",
    "tsv": "344\t7\t0.5\n344\t10\t-1.25\nq2\t7\t3e-7\n",
    "tsv interleaved": "344\t7\t0.5\nq2\t7\t3e-7\n344\t10\t-1.25",
    "blanks": "344 7 0.5\n344  10 -1.25\nq2 7 3e-7\n",
    "csv": "344,7,0.5\n344, 10, -1.25\nq2,7,3e-7\n",
    "csv header": "query-id,product-id,score\n344,7,0.5\n344,10,-1.25\nq2,7,3e-7\n",
    "quoted": '"query_id","product_id","score"\n"344","7",0.5\n"344","10",-1.25\n"q2","7",3e-7\n',
    "other order": "score\tdocno\tqid\n0.5\t7\t344\n-1.25\t10\t344\n3e-7\t7\tq2\n",
    "more columns": "qid,item,rank,sim\n344,7,1,0.5\n344,10,2,-1.25\nq2,7,1,3e-7\n",
    "blank lines": "\n344\t7\t0.5\n\n344\t10\t-1.25\nq2\t7\t3e-7\n\n",
}


COMPRESSORS = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lz4": lambda data: pa.compress(data, "lz4", asbytes=True),
    "zstd": lambda data: pa.compress(data, "zstd", asbytes=True),
}


@pytest.mark.parametrize("name", COMPRESSORS)
def test_compression(tmp_path: Path, name: str) -> None:
    data = SHAPES["trec"].encode()
    (tmp_path / "run").write_bytes(COMPRESSORS[name](data))
    assert as_mapping(read_run(tmp_path / "run")) == EXPECTED
    assert read_candidates(tmp_path / "run").pools.query_ids == ("344", "q2")
    (tmp_path / "run").write_bytes(COMPRESSORS[name](data)[:-7])
    with pytest.raises(InputError):
        read_run(tmp_path / "run")


def test_parquet(tmp_path: Path) -> None:
    columns = {"q_id": ["344", "344", "q2"], "doc_id": [7, 10, 7], "score": [0.5, -1.25, 3e-7]}
    pq.write_table(pa.table(columns), tmp_path / "run")
    assert as_mapping(read_run(tmp_path / "run")) == EXPECTED
    columns["doc_id"] = [7.0, None, 7.0]
    pq.write_table(pa.table(columns), tmp_path / "run")
    with pytest.raises(InputError, match="row 2: product id None is not a string"):
        read_run(tmp_path / "run")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "run")
    with pytest.raises(InputError, match="no columns of queries, products and scores"):
        read_run(tmp_path / "run")
    (tmp_path / "run").write_bytes(b"PAR1 and nothing")
    with pytest.raises(InputError, match="not readable as Parquet"):
        read_run(tmp_path / "run")


def as_mapping(run: Run) -> Scores:
    scores: Scores = {query: {} for query in run.pools.query_ids}
    for i, query in enumerate(run.pools.query_idx):
        scores[run.pools.query_ids[query]][run.pools.product_ids[i]] = float(run.scores[i])
    return scores


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("packing", ["plain", "crlf", "bom", "gzip"])
def test_every_shape(tmp_path: Path, text: str, packing: str) -> None:
    path = tmp_path / "misleading.csv"
    data = text.encode()
    if packing == "crlf":
        data = data.replace(b"\n", b"\r\n")
    if packing == "bom":
        data = b"\xef\xbb\xbf" + data
    path.write_bytes(gzip.compress(data) if packing == "gzip" else data)
    run = read_run(path)
    assert as_mapping(run) == EXPECTED
    assert run.pools.query_ids == ("344", "q2")


def test_submission_scores_by_place(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("query-id,product1,product2,product3\n5,c,a,b\n6,b,c,a\n")
    assert as_mapping(read_run(path)) == {
        "5": {"c": 3.0, "a": 2.0, "b": 1.0},
        "6": {"b": 3.0, "c": 2.0, "a": 1.0},
    }


def test_a_query_without_candidates_stays(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"1": [], "2": [["a", 1]]}')
    assert as_mapping(read_run(path)) == {"1": {}, "2": {"a": 1.0}}


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(b"q\tp\t1\n")))  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stdin", stdin)
    assert as_mapping(read_run("-")) == {"q": {"p": 1.0}}


def test_names() -> None:
    assert run_name("a/b.c.json.gz") == "b.c"
    assert run_name("plain") == "plain"
    assert run_name("-") == "-"


def test_written_best_first(tmp_path: Path) -> None:
    run = Run.from_dict({"q": {"9": 0.5, "10": 0.5, "7": 2.0}, "r": {"a": -0.0}}, "my run")
    texts = {}
    for ending in ("json", "trec", "csv", "tsv"):
        write_run(run, tmp_path / f"run.{ending}")
        texts[ending] = (tmp_path / f"run.{ending}").read_text()
    assert json.loads(texts["json"])["q"] == [["7", 2.0], ["9", 0.5], ["10", 0.5]]
    assert texts["trec"].splitlines()[1] == "q Q0 9 2 0.5 my_run"
    assert texts["csv"].splitlines()[:2] == ["query_id,product_id,score", "q,7,2.0"]
    assert texts["tsv"].splitlines()[-1] == "r\ta\t-0.0"


def test_written_gzipped_is_gzip_and_repeatable(tmp_path: Path) -> None:
    run = Run.from_dict({"q": {"a": 0.1}})
    write_run(run, tmp_path / "run.tsv.gz")
    first = (tmp_path / "run.tsv.gz").read_bytes()
    write_run(run, tmp_path / "run.tsv.gz")
    assert gzip.decompress(first) == b"query_id\tproduct_id\tscore\nq\ta\t0.1\n"
    assert (tmp_path / "run.tsv.gz").read_bytes() == first


def test_unknown_ending(tmp_path: Path) -> None:
    run = Run.from_dict({"q": {"a": 0.1}})
    with pytest.raises(UsageError, match="ending does not tell"):
        write_run(run, tmp_path / "run.xlsx")


@pytest.mark.parametrize(
    ("ending", "product"), [("csv", "a,b"), ("tsv", "a\tb"), ("trec", "a b"), ("csv", ' "a"')]
)
def test_ids_that_do_not_fit_are_rejected(tmp_path: Path, ending: str, product: str) -> None:
    path = tmp_path / f"run.{ending}"
    with pytest.raises(OutputError, match="write JSON instead"):
        write_run(Run.from_dict({"q": {product: 1.0}}), path)
    assert list(tmp_path.iterdir()) == []


any_id = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
plain_id = st.text("0123456789abcXYZ-_.:]()é漢", min_size=1, max_size=8)
score = st.floats(-1e100, 1e100)


def some_scores(ids: st.SearchStrategy[str]) -> st.SearchStrategy[Scores]:
    candidates = st.dictionaries(ids, score, min_size=1, max_size=6)
    return st.dictionaries(ids, candidates, min_size=1, max_size=5)


def round_trip(scores: Scores, path: Path) -> None:
    write_run(Run.from_dict(scores), path)
    again = read_run(path)
    assert as_mapping(again) == scores
    assert np.array_equal(again.order, np.arange(len(again.scores)))  # it was written best first


@given(scores=some_scores(any_id))
def test_json_round_trip(scores: Scores, tmp_path_factory: pytest.TempPathFactory) -> None:
    round_trip(scores, tmp_path_factory.mktemp("json") / "run.json")


@given(scores=some_scores(plain_id), ending=st.sampled_from(["trec", "csv", "tsv", "csv.gz"]))
def test_table_round_trip(
    scores: Scores, ending: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    round_trip(scores, tmp_path_factory.mktemp("table") / f"run.{ending}")
