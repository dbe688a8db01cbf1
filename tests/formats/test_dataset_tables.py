"""Hugging Face datasets as tables, all of them local."""

from __future__ import annotations

import pytest

from photoshop import items, write_csv, write_imagefolder, write_parquet
from shopsight.errors import InputError
from shopsight.formats.dataset_tables import DatasetTable, open_table
from shopsight.formats.tables import DelimitedText

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


SHOP = items(9)


def loaded(tmp_path):
    return datasets.load_dataset(
        "parquet", data_files=str(write_parquet(tmp_path / "raw", SHOP)), cache_dir=tmp_path
    )["train"].cast_column("image", datasets.Image())


def test_a_saved_dataset(tmp_path):
    loaded(tmp_path).save_to_disk(tmp_path / "saved")
    table = open_table(str(tmp_path / "saved"))
    assert isinstance(table, DatasetTable)
    assert len(table) == 9
    rows = list(table.rows())
    assert [row.values["sku"] for row in rows] == [item.id for item in SHOP]
    assert [row.values["image"]["bytes"] for row in rows] == [item.jpeg for item in SHOP]
    assert [row.number for row in table.rows(3, 5)] == [4, 5]
    assert table.fingerprint() == open_table(str(tmp_path / "saved")).fingerprint()


def test_all_splits_are_taken_and_named(tmp_path):
    data = loaded(tmp_path).rename_column("stock", "left")
    folder = tmp_path / "hub" / "data"
    folder.mkdir(parents=True)
    data.select(range(6)).to_parquet(folder / "train-00000-of-00001.parquet")
    data.select(range(6, 9)).to_parquet(folder / "test-00000-of-00001.parquet")
    table = open_table(str(tmp_path / "hub"))
    assert table.names[-1] == "split"
    pairs = [(row.values["sku"], row.values["split"]) for row in table.rows()]
    assert pairs == [(item.id, "train" if item.number < 6 else "test") for item in SHOP]
    assert [row.values["sku"] for row in table.rows(4, 8)] == [item.id for item in SHOP[4:8]]


def test_a_saved_dictionary_of_splits(tmp_path):
    data = loaded(tmp_path)
    both = datasets.DatasetDict({"train": data.select(range(4)), "validation": data.select([5])})
    both.save_to_disk(tmp_path / "both")
    table = open_table(str(tmp_path / "both"))
    assert [row.values["split"] for row in table.rows()] == ["train"] * 4 + ["validation"]


def test_a_column_of_splits_is_kept(tmp_path):
    loaded(tmp_path).add_column("split", ["own"] * 9).save_to_disk(tmp_path / "saved")
    table = open_table(str(tmp_path / "saved"))
    assert {row.values["split"] for row in table.rows()} == {"own"}


def test_classes_are_named(tmp_path):
    data = loaded(tmp_path).select(range(3)).add_column("kind", [1, 0, 1])
    data = data.cast_column("kind", datasets.ClassLabel(names=["shoe", "bag"]))
    data.save_to_disk(tmp_path / "saved")
    kinds = [row.values["kind"] for row in open_table(str(tmp_path / "saved")).rows()]
    assert kinds == ["bag", "shoe", "bag"]


def test_an_imagefolder_is_its_metadata(tmp_path):
    table = open_table(str(write_imagefolder(tmp_path / "folder", SHOP)))
    assert isinstance(table, DelimitedText)
    assert [row.values["sku"] for row in table.rows()] == [item.id for item in SHOP]


def test_files_are_files(tmp_path):
    assert isinstance(open_table(str(write_csv(tmp_path, SHOP))), DelimitedText)


@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere", "no/such/place"])
def test_what_is_not_there(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"{name}: no such file"):
        open_table(name)


def test_folders_and_hub_ids_that_are_not_data_sets(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: not a readable data set"):
        open_table(str(tmp_path / "empty"))
    with pytest.raises(InputError, match="owner/name: not a readable data set"):
        open_table("owner/name")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "state.json").write_text("{")
    with pytest.raises(InputError, match="broken: not a readable data set"):
        open_table(str(tmp_path / "broken"))
