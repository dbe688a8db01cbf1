"""Merged shards have the bytes of the whole table prepared at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from photoshop import Means, items, load_means, means, settings, write_csv, write_parquet
from shopsight.config import PhotosConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import DataError, OutputError, UsageError
from shopsight.prepare.photos.extract_regions import RegionSource
from shopsight.prepare.photos.given_pools import QueryInputs
from shopsight.prepare.photos.ingest import prepare_photos
from shopsight.prepare.photos.shards import merge_shards, prepare_shard

SHOP = items(90)


def tree(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def in_shards(
    table: Path, folder: Path, count: int, region_source: RegionSource | None = None, **options
):
    config = options.pop("settings", settings())
    for number in range(1, count + 1):
        out = folder / f"part{number}"
        prepare_shard(str(table), out, region_source or means(), config, (number, count), **options)
    return [folder / f"part{number}" for number in range(1, count + 1)]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_merged_shards_are_the_whole(tmp_path, count):
    table = write_parquet(tmp_path / "shop", SHOP)
    whole = prepare_photos(str(table), tmp_path / "whole", means(), settings())
    shards = in_shards(table, tmp_path, count)
    merged = merge_shards(list(reversed(shards)), tmp_path / "merged")
    assert tree(merged.path) == tree(whole.path)
    merged.verify()
    assert not (tmp_path / "merged.partial").exists()


def test_with_a_log_and_with_what_was_left_out(tmp_path):
    table = write_csv(tmp_path / "shop", SHOP)
    for number in (3, 40, 88):
        (table.parent / "photos" / f"{number:05d}.jpg").write_bytes(b"no photo")
    log = tmp_path / "log.csv"
    rows = [f"some {item.colour} {item.kind},{item.id},1" for item in SHOP]
    log.write_text("\n".join(["query,id,clicks", *rows]))
    skip = PhotosConfig(workers=1, vocabulary_size=200, on_error="skip")
    config = replace(settings(), photos=skip)
    whole = prepare_photos(
        str(table), tmp_path / "whole", means(), config, queries=QueryInputs.read(log)
    )
    shards = in_shards(table, tmp_path, 3, settings=config)
    merged = merge_shards(shards, tmp_path / "merged", clicks=log)
    assert tree(merged.path) == tree(whole.path)
    assert merged.manifest["skipped"]["table"]["not-a-photo"]["count"] == 3


def test_shards_of_precomputed_features_agree_on_label_names(tmp_path):
    lines = []
    for item in SHOP:
        row = {"id": item.id, "title": item.title, "labels": [item.kind, item.colour]}
        row |= {"features": [[1.0, 2.0], [3.0, 4.0]], "boxes": [[0, 0, 1, 1], [0, 0, 0.5, 1]]}
        lines.append(json.dumps(row))
    table = tmp_path / "t.jsonl"
    table.write_text("\n".join(lines))
    ready = RegionSource({"name": "features"})
    whole = prepare_photos(str(table), tmp_path / "whole", ready, settings())
    merged = merge_shards(in_shards(table, tmp_path, 4, ready), tmp_path / "merged")
    assert tree(merged.path) == tree(whole.path)


def test_a_shard_is_told_from_a_prepared_folder(tmp_path):
    table = write_csv(tmp_path / "shop", SHOP)
    first = in_shards(table, tmp_path, 2)[0]
    with pytest.raises(DataError, match="part1: a shard; join all of them with shopsight prepare"):
        PreparedData.open(first)
    whole = prepare_photos(str(table), tmp_path / "whole", means(), settings())
    with pytest.raises(DataError, match="whole: not a shard"):
        merge_shards([first, whole.path], tmp_path / "merged")
    with pytest.raises(DataError, match="nowhere: not a shard"):
        merge_shards([tmp_path / "nowhere"], tmp_path / "merged")


def test_shards_that_do_not_belong_together(tmp_path):
    table = write_csv(tmp_path / "shop", SHOP)
    first, second = in_shards(table, tmp_path, 2)
    (tmp_path / "other").mkdir()
    other = in_shards(table, tmp_path / "other", 2, settings=replace(settings(), seed=1))[1]
    out = tmp_path / "merged"
    with pytest.raises(UsageError, match="shard 2/2 is missing; name all 2 of them"):
        merge_shards([first], out)
    with pytest.raises(UsageError, match="duplicate shard 1/2"):
        merge_shards([first, first, second], out)
    with pytest.raises(DataError, match="differ in their table or settings"):
        merge_shards([first, other], out)
    (second / "data" / "labels.npy").write_bytes(b"x")
    with pytest.raises(DataError, match=r"labels\.npy: 1 bytes instead of"):
        merge_shards([first, second], out)
    (second / "data" / "labels.npy").unlink()
    with pytest.raises(DataError, match=r"labels\.npy: missing"):
        merge_shards([first, second], out)
    assert not out.exists()
    assert not (tmp_path / "merged.partial").exists()


def test_the_same_product_in_two_shards(tmp_path):
    table = write_csv(tmp_path / "shop", SHOP)
    with open(table, "a") as file:
        file.write("photos/00001.jpg,00001,again,1,true,1,\n")
    shards = in_shards(table, tmp_path, 2)
    with pytest.raises(DataError, match="product '00001' is in an earlier shard too"):
        merge_shards(shards, tmp_path / "merged")
    merged = merge_shards(shards, tmp_path / "merged", on_error="skip")
    assert len(merged.store) == 90
    assert merged.manifest["skipped"]["table"]["repeated"]["count"] == 1


def test_the_same_call_again_and_force(tmp_path):
    table = write_csv(tmp_path / "shop", SHOP)
    first = in_shards(table, tmp_path, 2)[0]
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    in_shards(table, tmp_path, 2)
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before
    with pytest.raises(OutputError, match="with other settings"):
        prepare_shard(str(table), first, means(), settings(), (2, 2))
    prepare_shard(str(table), first, means(), settings(), (2, 2), force=True)
    assert json.loads((first / "data.json").read_text())["shard"] == [2, 2]


def test_merging_replaces_by_force_only(tmp_path):
    table = write_csv(tmp_path / "shop", SHOP)
    shards = in_shards(table, tmp_path, 2)
    merge_shards(shards, tmp_path / "merged")
    with pytest.raises(OutputError, match="merged exists"):
        merge_shards(shards, tmp_path / "merged")
    merge_shards(shards, tmp_path / "merged", force=True).verify()
    with pytest.raises(OutputError, match="exists and is not a prepared folder"):
        merge_shards(shards, table.parent)


def test_nothing_is_learned_on_a_shard(tmp_path):
    table = write_csv(tmp_path / "shop", SHOP)
    school = RegionSource({"name": "learned"}, None, load_means, lambda *_: Means())
    with pytest.raises(UsageError, match="--learn needs the whole catalogue"):
        prepare_shard(str(table), tmp_path / "part", school, settings(), (1, 2))
    assert not (tmp_path / "part.partial").exists()
