"""Tables of rows: taken literally, read from any row on, bad rows named and alone."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsight.errors import InputError
from shopsight.formats.tables import open_file


def table_of(tmp_path: Path, content: str | bytes, name: str = "t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_file(path)


def values(table, start: int = 0, stop: int | None = None):
    return [row.values for row in table.rows(start, stop)]


def faults(table):
    return [str(row.fault) for row in table.rows() if row.fault]


def test_csv_follows_its_quotes(tmp_path):
    table = table_of(tmp_path, 'id,title\r\n1,"red, ""nice"" dress"\r\n2,"two\nlines"\r\n3,plain')
    assert table.names == ("id", "title")
    assert values(table) == [
        {"id": "1", "title": 'red, "nice" dress'},
        {"id": "2", "title": "two\nlines"},
        {"id": "3", "title": "plain"},
    ]
    assert [(row.number, row.line) for row in table.rows()] == [(1, 2), (2, 3), (3, 5)]
    assert len(table) == 3


def test_quotes_inside_a_field_mean_nothing(tmp_path):
    table = table_of(tmp_path, 'id,title\n1,5" heel\n2,women"s "best" shoes\n')
    assert [row["title"] for row in values(table)] == ['5" heel', 'women"s "best" shoes']


def test_a_quote_that_is_never_closed_costs_one_row_and_no_other(tmp_path):
    lines = ["id,title"] + [f"{i},shoe {i}" for i in range(1000)]
    lines[11] = '10,"inch heel'
    lines[21] = '20,"another'
    table = table_of(tmp_path, "\n".join(lines))
    assert len(table) == 1000
    rows = [row for row in table.rows() if not row.fault]
    assert [row.values["id"] for row in rows] == [str(i) for i in range(1000) if i not in (10, 20)]
    assert faults(table) == [
        f"{table.path}, line {line}: a quote opens here and does not close" for line in (12, 22)
    ]


def test_semicolons_divide_where_the_header_has_them(tmp_path):
    assert values(table_of(tmp_path, "id;title\n1;red, long\n")) == [
        {"id": "1", "title": "red, long"}
    ]


def test_tsv_is_literal(tmp_path):
    table = table_of(tmp_path, 'id\ttitle\n1\t"quoted"\n2\tsay ""\n', "t.tsv")
    assert [row["title"] for row in values(table)] == ['"quoted"', 'say ""']


def test_marks_line_ends_and_blank_lines_change_nothing(tmp_path):
    plain = table_of(tmp_path, "id,title\n1,a\n2,b\n", "plain.csv")
    odd = table_of(tmp_path, b"\xef\xbb\xbfid,title\r\n\r\n1,a\r\n\r\n2,b", "odd.csv")
    assert odd.names == plain.names
    assert values(odd) == values(plain)


BAD_LINES = {
    "too few columns": (b"7", "1 column, where the header has 2"),
    "too many columns": (b"7,a,b", "3 columns, where the header has 2"),
    "not UTF-8": (b"7,\xff\xfe", "not UTF-8 text (byte 3 of the line)"),
    "null byte": (b"7,a\0b", "binary data, not text"),
    "text after a quote": (b'7,"a"b', "not well-formed CSV"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_bad_lines_are_named_and_alone(tmp_path, name):
    line, reason = BAD_LINES[name]
    table = table_of(tmp_path, b"id,title\n1,a\n" + line + b"\n2,b\n")
    assert [row.values.get("id") for row in table.rows()] == ["1", None, "2"]
    assert faults(table)[0].startswith(f"{table.path}, line 3: {reason}")


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        ("", "t.csv", "the file is empty"),
        ("\n1,2\n", "t.csv", "the file is empty, or begins with an empty line"),
        ("id,id\n1,2\n", "t.csv", "line 1, column id: duplicate column name"),
        ("", "t.jsonl", "no row is a JSON object"),
        ("[1]\n", "t.jsonl", "no row is a JSON object"),
        ("PAR1 not really", "t.parquet", "not readable as Parquet"),
        ("id", "t.xlsx", r"not a table by its name \(known: .csv, .tsv"),
    ],
)
def test_files_that_are_no_tables(tmp_path, content, name, reason):
    with pytest.raises(InputError, match=reason):
        table_of(tmp_path, content, name)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        open_file(tmp_path / "nowhere.csv")


def test_json_lines(tmp_path):
    rows = [{"id": 1, "title": "é", "tags": ["a", "b"]}, {"id": 2, "new": True}]
    table = table_of(tmp_path, "\n\n".join(map(json.dumps, rows)), "t.jsonl")
    assert table.names == ("id", "title", "tags", "new")
    assert values(table) == rows


def test_bad_json_lines_are_named_and_alone(tmp_path):
    lines = ['{"id": 1}', '{"id": 2', "[3]", '{"id": NaN}', "[" * 100_000, '{"id": "\\ud83d"}']
    lines.append('{"id": "\\ud83d\\ude00"}')
    table = table_of(tmp_path, "\n".join(lines), "t.jsonl")
    assert [row.values.get("id") for row in table.rows()] == [
        *(1, None, None, None, None, None),
        "😀",
    ]
    messages = faults(table)
    assert "line 2, column 9: broken JSON" in messages[0]
    assert "line 3: not a JSON object" in messages[1]
    assert "line 4: broken JSON: 'NaN is not a JSON number'" in messages[2]
    assert "line 5" in messages[3]
    assert "line 6: not valid Unicode" in messages[4]


def test_parquet_is_read_from_any_row(tmp_path):
    table = pa.table({"id": list(range(500)), "__index_level_0__": list(range(500))})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=130)
    read = open_file(tmp_path / "t.parquet")
    assert read.names == ("id",)
    assert len(read) == 500
    for start, stop in ((0, None), (129, 131), (130, 260), (77, 400), (499, 500), (500, None)):
        rows = list(read.rows(start, stop))
        assert [row.values["id"] for row in rows] == list(range(500))[start:stop]
        assert [row.number for row in rows] == list(range(1, 501))[start:stop]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_lines_are_read_from_any_row(tmp_path, name):
    if name == "t.jsonl":
        content = "".join(f'{{"id": "{i}"}}\n' for i in range(50))
    else:
        content = "id\n" + "".join(f"{i}\n" for i in range(50))
    table = table_of(tmp_path, content, name)
    for start, stop in ((0, None), (10, 20), (49, None), (50, None), (20, 10)):
        ids = [row.values["id"] for row in table.rows(start, stop)]
        assert ids == [str(i) for i in range(50)][start:stop]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_other_encodings_of_unicode_are_read(tmp_path, encoding, name):
    rows = [{"id": f"nr {i}", "title": f"hübsche Schuhe {i}"} for i in range(40)]
    separator = "," if name == "t.csv" else "\t"
    lines = [separator.join(("id", "title")), *(separator.join(row.values()) for row in rows)]
    if name == "t.jsonl":
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    table = table_of(tmp_path, "\r\n".join(lines).encode(encoding), name)
    assert table.names == ("id", "title")
    assert values(table) == rows
    assert values(table, 30, 31) == [rows[30]]


def test_broken_utf_16_raises(tmp_path):
    with pytest.raises(InputError, match=r"t\.csv: broken UTF-16-LE text .* save it as UTF-8"):
        table_of(tmp_path, "id,title\n1,a\n".encode("utf-16") + b"\x00")


@pytest.mark.parametrize("mark", ["sep=|", '"sep=|"', "sep=|\r"])
def test_the_separator_line_of_excel_is_followed(tmp_path, mark):
    table = table_of(tmp_path, f"{mark}\nid|title;x\n1|a, b; c\n")
    assert table.names == ("id", "title;x")
    assert [(row.line, row.values) for row in table.rows()] == [
        (3, {"id": "1", "title;x": "a, b; c"})
    ]


def test_a_column_name_may_go_on_in_the_next_line(tmp_path):
    table = table_of(tmp_path, 'id,"price\r\n(EUR)","a ""quoted""\nname"\r\n1,2,3\r\n')
    assert table.names == ("id", "price (EUR)", 'a "quoted" name')
    assert [(row.line, list(row.values.values())) for row in table.rows()] == [(4, ["1", "2", "3"])]


BAD_HEADERS = {
    "text after a quote": (b'"id"x,title\n1,a\n', "not well-formed CSV"),
    "an open quote": (b'id,"title\n1,a\n2,b\n', "a quote opens here and does not close"),
    "old Mac line ends": (b"id,title\r1,a\r2,b\r", "lines end with carriage returns only"),
    "mixed line ends": (b"id,title\r1,a\n2,b\n", "lines end with carriage returns only"),
    "Latin-1": ("id,größe\n1,a\n".encode("latin-1"), "not UTF-8 text (byte 6 of the line"),
    "a null byte": (b"id,ti\0tle\n1,a\n", "binary data, not text"),
}


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_bad_headers_are_named(tmp_path, name):
    content, reason = BAD_HEADERS[name]
    with pytest.raises(InputError) as raised:
        table_of(tmp_path, content)
    assert str(raised.value).startswith(f"{tmp_path / 't.csv'}, line 1: {reason}")


@pytest.mark.parametrize("name", ["t.tsv", "t.jsonl"])
def test_old_mac_line_ends_are_named_in_every_format(tmp_path, name):
    with pytest.raises(InputError, match="line 1: lines end with carriage returns only"):
        table_of(tmp_path, '{"id": 1}\r{"id": 2}\r' if "json" in name else "id\tx\r1\t2\r", name)


def test_blanks_around_cells_are_stripped_and_quotes_after_them_understood(tmp_path):
    table = table_of(
        tmp_path,
        'id,\ttitle , colour\n 1 , "red, new" ,\u00a0blue \n2, "Best" of all, x\n3, "a, b\n',
    )
    assert table.names == ("id", "title", "colour")
    rows = list(table.rows())
    assert rows[0].values == {"id": "1", "title": "red, new", "colour": "blue"}
    assert rows[1].values == {"id": "2", "title": '"Best" of all', "colour": "x"}
    assert rows[2].values == {"id": "3", "title": '"a', "colour": "b"}


def test_blanks_after_tabs_are_stripped(tmp_path):
    assert values(table_of(tmp_path, "id\ttitle\n 1 \t  a \n", "t.tsv")) == [
        {"id": "1", "title": "a"}
    ]


def test_long_cells_are_read(tmp_path):
    long = "word " * 60_000
    table = table_of(tmp_path, f'id,text\n1,"{long}"\n2,{long}\n')
    assert [row["text"] for row in values(table)] == [long.strip()] * 2


def test_late_keys_of_json_lines_are_columns(tmp_path):
    rows = [{"id": i} for i in range(3000)] + [{"id": 3000, "price": 2}]
    table = table_of(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl")
    assert table.names == ("id", "price")
    assert values(table, 2999) == rows[2999:]


def test_json_lines_keyed_by_values_are_rejected(tmp_path):
    lines = "\n".join(f'{{"id{i}": 1}}' for i in range(10_001))
    with pytest.raises(InputError, match="10,001 different keys in 10,001 rows"):
        table_of(tmp_path, lines, "t.jsonl")


@given(
    st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\0\r")), min_size=2, max_size=2
        ),
        max_size=8,
    )
)
def test_csv_reads_what_python_writes(tmp_path_factory, rows):
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([["a", "b"], *rows])
    table = table_of(tmp_path_factory.mktemp("csv"), file.getvalue())
    stripped = [[cell.strip() for cell in row] for row in rows]
    assert [list(row.values.values()) for row in table.rows()] == stripped


@given(st.binary(max_size=200))
def test_no_bytes_make_a_table_fail(tmp_path_factory, content):
    for name in ("t.csv", "t.tsv"):
        table = table_of(tmp_path_factory.mktemp("any"), b"id,title\ttext\n" + content, name)
        rows = list(table.rows())
        assert len(rows) == len(table)
        assert all(row.fault or len(row.values) == len(table.names) for row in rows)
