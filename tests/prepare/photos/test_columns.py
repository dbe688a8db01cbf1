"""Resolving columns, and rows as products."""

from __future__ import annotations

import datetime
import json
import unicodedata
from pathlib import Path

import pytest

from shopsight.config import PhotoColumnsConfig
from shopsight.errors import InputError, UsageError
from shopsight.formats.images import PhotoError
from shopsight.formats.tables import open_file
from shopsight.prepare.photos.columns import as_field, canonical_split, find_columns, read_row


def table_of(tmp_path: Path, *rows: dict):
    path = tmp_path / "shop.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return open_file(path)


def product(tmp_path: Path, row: dict, config: PhotoColumnsConfig | None = None):
    table = table_of(tmp_path, {"id": "1", "image": "a.jpg", "title": "x", **row})
    columns = find_columns(table, config or PhotoColumnsConfig())
    return read_row(next(iter(table.rows())), table, columns)


def test_columns_are_found_by_common_names(tmp_path):
    table = table_of(tmp_path, {"SKU": "1", "Image Path": "a.jpg", "Name": "x", "price": 3})
    columns = find_columns(table, PhotoColumnsConfig())
    assert (columns.id, columns.image, columns.text) == ("SKU", "Image Path", ("Name",))
    assert columns.fields(table.names) == ("Name", "price")
    assert columns.split == columns.queries == columns.features == ""


def test_configured_columns_win(tmp_path):
    table = table_of(tmp_path, {"id": "1", "code": "2", "image": "", "photo": "", "a": "", "b": ""})
    config = PhotoColumnsConfig(id="code", image="photo", text=("b", "a"), split_column="a")
    columns = find_columns(table, config)
    assert (columns.id, columns.image, columns.text, columns.split) == (
        "code",
        "photo",
        ("b", "a"),
        "a",
    )


@pytest.mark.parametrize(
    ("row", "config", "sentence"),
    [
        ({"image": "", "title": ""}, {}, r"which column holds product ids\? name it with --id"),
        ({"id": "", "title": ""}, {}, r"which column holds photos\? name it with --image"),
        ({"id": "", "image": ""}, {}, r"which column holds text\? name it with --text"),
        (
            {"id": "", "image": "", "title": ""},
            {"text": ("titel",)},
            "unknown column of --text, 'titel'; did you mean 'title'?",
        ),
        ({"id": "", "image": "", "title": ""}, {"split_column": "x"}, "column of --split-column,"),
    ],
)
def test_missing_columns_raise(tmp_path, row, config, sentence):
    with pytest.raises(UsageError, match=sentence):
        find_columns(table_of(tmp_path, row), PhotoColumnsConfig(**config))


def test_text_is_not_needed_with_queries(tmp_path):
    table = table_of(tmp_path, {"id": "", "image": "", "q": ""})
    assert find_columns(table, PhotoColumnsConfig(queries="q")).text == ()


def test_paths_start_from_the_table(tmp_path):
    assert product(tmp_path, {"image": "photos/a.jpg"}).image == tmp_path / "photos" / "a.jpg"
    assert product(tmp_path, {"image": "/shop/a.jpg"}).image == Path("/shop/a.jpg")
    assert (
        product(tmp_path, {"image": {"path": "b.jpg", "bytes": None}}).image == tmp_path / "b.jpg"
    )
    assert product(tmp_path, {"image": {"path": "b.jpg", "bytes": "AAEC"}}).image == b"\0\1\2"
    assert product(tmp_path, {"image": None}).image is None
    assert product(tmp_path, {"image": {"path": None}}).image is None


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"id": None}, "line 1, column id: empty product id"),
        ({"id": ""}, "line 1, column id: empty product id"),
        ({"id": 1.5}, "column id: product id 1.5 is not a string or whole number"),
        ({"id": "a\tb"}, "has control characters"),
        ({"id": True}, "product id True is not a string or whole number"),
        ({"id": " "}, "empty product id"),
        ({"id": "x" * 1001}, "product id of 1,001 characters"),
    ],
)
def test_invalid_rows_raise(tmp_path, row, sentence):
    with pytest.raises(InputError, match=sentence):
        product(tmp_path, row)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (7, "the photo is neither a path nor bytes but 7"),
        ("https://shop/a.jpg", "is a URL, and photos are read from files"),
        ({"bytes": "%"}, "the photo's bytes are not base64"),
    ],
)
def test_invalid_photos_are_reported_with_their_product(tmp_path, image, sentence):
    fault = product(tmp_path, {"image": image}).image
    assert isinstance(fault, PhotoError)
    assert fault.kind == "no-photo"
    assert sentence in fault.reason


@pytest.mark.parametrize(
    "written",
    [
        *("photos/été 100%.jpg", " photos/été 100%.jpg ", "photos\\été 100%.jpg"),
        *("photos/%C3%A9t%C3%A9%20100%25.jpg", "photos\\%C3%A9t%C3%A9 100%25.jpg"),
        *("photos/e\u0301te\u0301 100%.jpg", "file://{folder}/photos/été 100%.jpg"),
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_other_spellings_of_a_path_find_the_photo(tmp_path, written, form):
    photo = tmp_path / "photos" / unicodedata.normalize(form, "été 100%.jpg")
    photo.parent.mkdir()
    photo.touch()
    found = product(tmp_path, {"image": written.format(folder=tmp_path)}).image
    assert found.samefile(photo)


def test_the_literal_path_comes_first(tmp_path):
    for name in ("a%20b.jpg", "a b.jpg", "c\\d.jpg"):
        (tmp_path / name).touch()
        assert product(tmp_path, {"image": name}).image == tmp_path / name


def test_impossible_paths_are_left_as_they_are(tmp_path):
    for name in ("a\0b.jpg", "x" * 5000, "%00.jpg", "nowhere%20.jpg", "\\\\server\\a.jpg"):
        assert product(tmp_path, {"image": name}).image == tmp_path / name


def test_the_name_of_the_photo_is_the_id_where_there_is_no_other(tmp_path):
    table = table_of(tmp_path, {"file_name": "a.jpg", "text": "x"})
    assert find_columns(table, PhotoColumnsConfig()).id == "file_name"
    columns = find_columns(table, PhotoColumnsConfig(id="file_name"))
    (row,) = table.rows()
    assert read_row(row, table, columns).product_id == "a.jpg"
    table = table_of(tmp_path, {"image": {"path": "b.jpg", "bytes": "AAEC"}, "text": "x"})
    columns = find_columns(table, PhotoColumnsConfig(id="image"))
    (row,) = table.rows()
    assert read_row(row, table, columns).product_id == "b.jpg"


def test_markup_and_lists_in_cells_of_text(tmp_path):
    row = {"title": "<b>Red</b> &amp; blue", "tags": "['long', 'silk']", "size": 38.0}
    config = PhotoColumnsConfig(text=("title", "tags", "size"))
    read = product(tmp_path, row, config)
    assert read.text == "Red & blue long silk 38"
    assert read.fields["title"] == "Red & blue"


def test_whole_numbers_are_ids(tmp_path):
    assert product(tmp_path, {"id": 0}).product_id == "0"
    assert product(tmp_path, {"id": " a "}).product_id == "a"
    assert product(tmp_path, {"id": 7}).product_id == "7"
    assert product(tmp_path, {"id": 7.0}).product_id == "7"
    assert product(tmp_path, {"id": "007"}).product_id == "007"
    assert product(tmp_path, {"id": "瑞 é/7"}).product_id == "瑞 é/7"


def test_text_comes_from_columns_in_their_order(tmp_path):
    row = {"title": "red dress", "brand": None, "tags": ["long", "silk"], "size": 12}
    config = PhotoColumnsConfig(text=("tags", "brand", "title", "size"))
    assert product(tmp_path, row, config).text == "long silk red dress 12"


@pytest.mark.parametrize(
    "written", [["a b", "c", None, "c"], "a  b| c |", "a b|c", "['a b', 'c']", '["a b", "c"]']
)
def test_queries_are_a_list_or_divided(tmp_path, written):
    expected = product(tmp_path, {"q": written}, PhotoColumnsConfig(queries="q")).queries
    assert expected == ("a b", "c")


def test_fields_are_strings_numbers_and_booleans(tmp_path):
    row = {"price": 2.5, "sold": True, "tags": ["a", "b"], "more": {"a": 1}, "none": None}
    assert product(tmp_path, row).fields == {
        "title": "x",
        "price": 2.5,
        "sold": True,
        "tags": ["a", "b"],
        "more": '{"a": 1}',
        "none": None,
    }
    assert as_field(datetime.date(2020, 2, 3)) == "2020-02-03"
    assert as_field(1 << 70) == str(1 << 70)
    assert as_field(b"bytes") is None


def test_splits_by_other_names():
    names = ("Train", "validation", "val", "dev", "test", "testB", "holdout")
    expected = ["train", "valid", "valid", "valid", "testA", "testB", "holdout"]
    assert [canonical_split(name) for name in names] == expected
