"""Logs of clicks."""

from __future__ import annotations

import pytest

from shopsight.errors import InputError
from shopsight.formats.click_logs import Click, read_clicks


def test_clicks_are_added_up_and_none_is_none(tmp_path):
    path = tmp_path / "log.tsv"
    path.write_text(
        'query\tproduct_id\tclicks\nred  dress\t1\t2\nred dress\t1\t3\nshoe\t2\t0\n"a"\t007\t1\n'
    )
    assert read_clicks(path).clicks == [Click("red dress", "1", 5), Click('"a"', "007", 1)]


def test_without_clicks_each_row_is_one(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("Search Term,SKU\nred dress,1\n")
    assert read_clicks(path).clicks == [Click("red dress", "1", 1)]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a,product_id\nx,1\n", r"line 1: no column 'query' \(columns: a, product_id\)"),
        ("query,a\nx,1\n", r"line 1: no column 'product_id'"),
        ("query,id\n,1\n", "line 2, column query: empty query"),
        ("query,id\nx,\n", "line 2, column id: empty product id"),
        ("query,id,clicks\nx,1,many\n", "line 2, column clicks: clicks 'many' is not a whole"),
        ("query,id,clicks\nx,1,-1\n", "line 2, column clicks: clicks '-1' is below 0"),
        ("query,id\nx\n", "line 2: 1 column, where the header has 2"),
        ("query,id,clicks\nx,1,0\n", "no click in the log"),
        ("query,id\n", "no click in the log"),
    ],
)
def test_bad_logs(tmp_path, content, sentence):
    path = tmp_path / "log.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=sentence):
        read_clicks(path)


def test_invalid_rows_are_left_out_on_request(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("query,id,clicks\nshoe,1,2\n,1,1\nx,,1\nx,1,many\na,b\nshoe,1,3.0\n")
    log = read_clicks(path, skip_invalid=True)
    assert log.clicks == [Click("shoe", "1", 5)]
    assert log.warnings == [
        "4 invalid rows of the click log left out; the first: log.csv, line 3, column query:"
        " empty query"
    ]
    assert read_clicks(path, skip_invalid=True).invalid == 4
    path.write_text("query,id\n,1\n")
    with pytest.raises(InputError, match=r"no click in the log \(the first of 1 invalid rows: .*"):
        read_clicks(path, skip_invalid=True)


def test_a_log_in_parquet_names_rows(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({"query": ["a", None], "id": [1, 2]}), path)
    with pytest.raises(InputError, match="row 2, column query: empty query"):
        read_clicks(path)


def test_whole_floats_and_zero_are_whole_numbers(tmp_path):
    (tmp_path / "log.csv").write_text("query,id,clicks\nx,0,3.0\ny,a,0.0\n")
    assert read_clicks(tmp_path / "log.csv").clicks == [Click("x", "0", 3)]
    (tmp_path / "log.jsonl").write_text(
        '{"query": "x", "id": 0, "clicks": 2.0}\n{"query": "x", "id": 7.0, "clicks": "1"}\n'
    )
    assert read_clicks(tmp_path / "log.jsonl").clicks == [Click("x", "0", 2), Click("x", "7", 1)]


@pytest.mark.parametrize("clicks", ["1.5", "nan", "1e3", "-2", "inf", "true"])
def test_other_numbers_are_not_counts(tmp_path, clicks):
    (tmp_path / "log.csv").write_text(f"query,id,clicks\nx,1,{clicks}\n")
    with pytest.raises(InputError, match="line 2, column clicks"):
        read_clicks(tmp_path / "log.csv")
