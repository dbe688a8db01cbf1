"""Tables of every kind become the same prepared folder; interrupted, killed, resumed."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from photoshop import (
    Means,
    items,
    load_means,
    means,
    saved,
    settings,
    write_csv,
    write_imagefolder,
    write_json_lines,
    write_parquet,
)
from shopsight.config import PhotoColumnsConfig, PhotosConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import DataError, InputError, OutputError, UsageError
from shopsight.formats.images import decode_photo
from shopsight.prepare.journal import Journal
from shopsight.prepare.photos.extract_regions import RegionSource
from shopsight.prepare.photos.given_pools import QueryInputs
from shopsight.prepare.photos.ingest import prepare_photos
from shopsight.prepare.photos.settings import PhotosSettings
from shopsight.text.normalise import singular

SHOP = items(90)


def tree(folder: Path, *without: str) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in without
    }


class Steps:
    """A progress callback that records stages and counts."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.seen.append((stage, done))

    def stages(self) -> list[str]:
        return [stage for stage, _ in self.seen]


def prepared(table: Path, out: Path, **options: Any) -> PreparedData:
    config = options.pop("settings", settings())
    source = options.pop("region_source", means())
    files = options.pop("clicks", None), options.pop("pools", ())
    queries = QueryInputs.read(*files, config.photos.on_error)
    return prepare_photos(table, out, source, config, queries=queries, **options)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "shop", SHOP)


def test_prepared_data_equals_the_table(table, tmp_path):
    data = prepared(table, tmp_path / "data")
    assert data.store.product_ids == [item.id for item in SHOP]
    assert data.splits == ["train", "valid", "testA"]
    photos, fields = data.photos, data.fields
    assert photos is not None
    assert fields is not None
    assert [photos.jpeg(i) for i in range(len(SHOP))] == [item.jpeg for item in SHOP]
    rows = [{**item.row, "note": item.row["note"] or None} for item in SHOP]
    assert fields.to_pylist() == [{k: v for k, v in row.items() if k != "sku"} for row in rows]
    batch = data.store.read(range(len(SHOP)))
    assert (batch.lengths == 3).all()
    expected = [Means().extract([decode_photo(item.jpeg)])[0] for item in SHOP]
    features = np.concatenate([regions.features for regions in expected]).astype(np.float16)
    np.testing.assert_array_equal(batch.features, features)
    np.testing.assert_array_equal(batch.labels, [0, 1, 1] * len(SHOP))
    np.testing.assert_allclose(batch.boxes[:3, :4], [[0, 0, 1, 1], [0, 0, 0.5, 1], [0.5, 0, 1, 1]])
    assert not (tmp_path / "data.partial").exists()


def test_data_json_explains_itself(table, tmp_path):
    data = prepared(table, tmp_path / "data")
    summary = data.manifest
    assert summary["extractor"] == {"name": "means", "label_names": ["photo", "half"]}
    assert summary["products"] == summary["photos"]["photos"] == 90
    assert summary["regions"]["labels"]["1"] == {"name": "half", "regions": 180}
    assert summary["feature_width"] == 16
    assert summary["query_source"]["from"] == "text"
    assert summary["skipped"] == {}
    assert set(summary["files"]) == set(tree(data.path, "data.json"))
    assert {"photos.bin", "photo_offsets.npy", "fields.parquet"} <= set(summary["files"])
    assert str(tmp_path) not in json.dumps(summary)
    assert load_means(data.path / "extractor") == Means()
    data.verify()
    (data.path / "photos.bin").write_bytes(bytes((data.path / "photos.bin").stat().st_size))
    with pytest.raises(DataError, match=r"photos\.bin: content changed"):
        data.verify()


def test_queries_and_pools_are_there(table, tmp_path):
    data = prepared(table, tmp_path / "data")
    pairs, queries = data.pairs(), data.queries("train")
    for query, product in zip(pairs.queries, pairs.products, strict=True):
        assert set(queries.texts[query].split()) <= set(SHOP[product].title.lower().split())
    assert not any("brand" in text for text in queries.texts)
    for split in ("valid", "testA"):
        pools, qrels = data.pools(split), data.qrels(split)
        assert set(pools.query_ids) == set(qrels.relevance)
        for query in pools.query_ids:
            assert set(qrels.relevance[query]) <= set(pools.of(query))
    assert "dress" in data.vocabulary().tokens


def test_every_kind_of_table_gives_the_same_store(table, tmp_path):
    datasets = pytest.importorskip("datasets")
    whole = prepared(table, tmp_path / "csv")
    others = {
        "imagefolder": write_imagefolder(tmp_path / "imagefolder", SHOP),
        "parquet": write_parquet(tmp_path / "parquet", SHOP),
        "jsonl": write_json_lines(tmp_path / "jsonl", SHOP),
    }
    loaded = datasets.load_dataset(
        "parquet", data_files=str(others["parquet"]), cache_dir=tmp_path / "cache"
    )["train"].cast_column("image", datasets.Image())
    loaded.save_to_disk(tmp_path / "saved")
    others["saved"] = tmp_path / "saved"
    others["folder of parquet"] = tmp_path / "parquet"
    for name, other in others.items():
        same = prepared(other, tmp_path / f"from {name}")
        assert same.manifest["files"] == whole.manifest["files"], name


def test_bytes_do_not_depend_on_the_number_of_processes(table, tmp_path):
    single = prepared(table, tmp_path / "single")
    many = prepared(table, tmp_path / "many", settings=settings(workers=2))
    batched = prepared(table, tmp_path / "batched", region_source=means(in_workers=False))
    assert tree(single.path) == tree(many.path)
    same = ("features-00000.npy", "pools-valid.parquet", "photos.bin")
    assert all(tree(single.path)[name] == tree(batched.path)[name] for name in same)


def test_queries_come_from_the_click_log(table, tmp_path):
    log = tmp_path / "clicks.tsv"
    lines = [
        f"find {item.colour} {item.kind} {i}\t{item.id}\t{i + 1}" for i in range(3) for item in SHOP
    ]
    log.write_text("\n".join(["query\tproduct_id\tclicks", *lines]))
    data = prepared(table, tmp_path / "data", clicks=log)
    assert data.manifest["query_source"]["from"] == "log"
    texts = [text for split in data.splits for text in data.queries(split).texts]
    assert all(text.startswith("find ") for text in texts)
    with pytest.raises(OutputError, match="prepared from other files"):
        prepared(table, tmp_path / "data")


def test_splits_come_from_the_split_column(tmp_path):
    table = write_csv(tmp_path, SHOP)
    header, *lines = table.read_text().splitlines()
    names = ["train", "train", "valid", "unused"]
    text, row = f"split,{header}\n", 0
    for line in lines:  # quoted notes span lines; only a product's first line gets a split
        is_first = line.startswith("photos/")
        text += f"{names[row % 4]},{line}\n" if is_first else f"{line}\n"
        row += is_first
    table.write_text(text)
    changed = replace(settings(), columns=PhotoColumnsConfig(split_column="split"))
    data = prepared(table, tmp_path / "data", settings=changed)
    assert data.splits == ["train", "valid"]
    assert data.manifest["warnings"] == [
        "22 products of split 'unused' belong to no split of the prepared data"
    ]
    train = {i for i in range(90) if names[i % 4] == "train"}
    assert set(data.pairs().products.tolist()) <= train
    assert len(data.store) == 90


# Invalid rows and photos ----------------------------------------------------------------------

SKIP = PhotosConfig(workers=1, vocabulary_size=200, on_error="skip")


def damage(folder: Path, number: int, content: bytes | None) -> None:
    path = folder / "photos" / f"{number:05d}.jpg"
    path.unlink()
    if content is not None:
        path.write_bytes(content)


BAD_PHOTOS = {
    "no-photo": (None, "does not exist"),
    "not-a-photo": (b"<html>", "not a photo"),
    "broken": (items(1)[0].jpeg[:300], "the photo is broken"),
    "too-large": (None, "pixels, more than 1 million"),
}


@pytest.mark.parametrize("kind", BAD_PHOTOS)
def test_invalid_photos_raise_or_are_skipped_with_their_id(table, tmp_path, kind):
    content, reason = BAD_PHOTOS[kind]
    if kind == "too-large":
        content = saved(Image.new("RGB", (2000, 1000)), "PNG")
    damage(table.parent, 17, content)
    changed = settings()
    changed = replace(changed, small=replace(changed.small, max_megapixels=1))
    with pytest.raises(
        InputError, match=rf"shop\.csv, line \d+, column image: product '00017': .*{reason}"
    ):
        prepared(table, tmp_path / "data", settings=changed)
    assert not (tmp_path / "data").exists()
    data = prepared(table, tmp_path / "data", settings=replace(changed, photos=SKIP))
    assert len(data.store) == 89
    assert "00017" not in data.store.product_ids
    entry = data.manifest["skipped"]["table"][kind]
    assert entry["count"] == 1
    assert entry["first"].startswith("shop.csv, line ")
    header, notes = (data.path / "skipped.tsv").read_text().splitlines()
    assert header.split("\t") == ["row", "id", "kind", "reason"]
    assert notes.split("\t")[:3] == ["18", "00017", kind]


def test_resumes_after_a_photo_is_repaired(table, tmp_path, monkeypatch):
    whole = prepared(table, tmp_path / "whole")
    path = table.parent / "photos" / "00080.jpg"
    good, time = path.read_bytes(), path.stat().st_mtime_ns
    damage(table.parent, 80, b"")
    monkeypatch.setattr(Journal, "checkpoint", Journal.save)
    with pytest.raises(InputError, match="00080"):
        prepared(table, tmp_path / "data")
    path.write_bytes(good)
    os.utime(path, ns=(time, time))
    steps = Steps()
    data = prepared(table, tmp_path / "data", progress=steps)
    assert steps.seen[0] == ("reading", 80)
    assert tree(data.path) == tree(whole.path)


def test_invalid_rows_are_skipped_by_kind(tmp_path):
    table = write_csv(tmp_path / "shop", SHOP)
    with open(table, "a") as file:
        file.write("photos/00001.jpg,00001,again,1,true,1,\n")  # repeated
        file.write("photos/00001.jpg,,no id,1,true,1,\n")
        file.write(",x1,no photo,1,true,1,\n")
        file.write("too,few\n")
        file.write("http://shop/a.jpg,x2,address,1,true,1,\n")
    sentence = "column sku: product '00001': duplicate product id; --on-error skip keeps the first"
    with pytest.raises(InputError, match=sentence):
        prepared(table, tmp_path / "data")
    data = prepared(table, tmp_path / "data", settings=replace(settings(), photos=SKIP))
    counts = {kind: entry["count"] for kind, entry in data.manifest["skipped"]["table"].items()}
    assert counts == {"repeated": 1, "id": 1, "no-photo": 2, "row": 1}
    rows = [line.split("\t") for line in (data.path / "skipped.tsv").read_text().splitlines()]
    assert [(row[1], row[2]) for row in rows[1:]] == [
        *(("00001", "repeated"), ("", "id"), ("x1", "no-photo"), ("", "row"), ("x2", "no-photo"))
    ]
    assert len(data.store) == 90


def test_replaced_photos_count_as_other_files(table, tmp_path):
    data = prepared(table, tmp_path / "data")
    before = tree(data.path)
    photo = table.parent / "photos" / "00007.jpg"
    content, time = photo.read_bytes(), photo.stat().st_mtime_ns
    photo.write_bytes((table.parent / "photos" / "00008.jpg").read_bytes())
    with pytest.raises(OutputError, match="photos have changed since it was made; choose another"):
        prepared(table, tmp_path / "data")
    assert tree(data.path) == before
    forced = prepared(table, tmp_path / "data", force=True)
    assert forced.photos.jpeg(7) == photo.read_bytes() != content
    photo.write_bytes(content)
    os.utime(photo, ns=(time, time))
    assert tree(prepared(table, tmp_path / "data", force=True).path) == before


def test_photos_that_are_replaced_while_a_run_is_interrupted_start_it_over(
    table, tmp_path, monkeypatch
):
    monkeypatch.setattr(Journal, "checkpoint", Journal.save)

    def interrupt(stage, done, total):
        if stage == "reading" and done >= 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepared(table, tmp_path / "data", progress=interrupt)
    damage(table.parent, 70, SHOP[69].jpeg)  # not read yet
    steps = Steps()
    with pytest.raises(KeyboardInterrupt):
        prepared(table, tmp_path / "data", progress=lambda *at: (steps(*at), interrupt(*at)))
    assert steps.seen[0][1] >= 40
    damage(table.parent, 20, SHOP[69].jpeg)
    steps = Steps()
    data = prepared(table, tmp_path / "data", progress=steps)
    assert steps.seen[0] == ("reading", 0)
    assert data.photos.jpeg(20) == SHOP[69].jpeg


def test_fields_have_types_that_data_json_describes(tmp_path):
    table = write_csv(tmp_path / "shop", SHOP[:40])
    rows = list(csv.reader(io.StringIO(table.read_text())))
    rows[0] += ["cost", "size", "added", "tags"]
    for i, row in enumerate(rows[1:]):
        row += [f"€ {i},50", "M" if i == 3 else str(36 + i), f"2024-06-{i % 30 + 1:02}"]
        row += [f"['a', 'n{i}']"]
    with open(table, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    data = prepared(table, tmp_path / "data")
    assert data.manifest["columns"] == {
        "image": "photo",
        "sku": "product id",
        "title": "text",
        "price": "number",
        "in_stock": "flag",
        "stock": "number",
        "note": "text",
        "cost": "number, with its currency in cost_currency",
        "size": "text, number but for 1 cell that is text: 'M', line 7",
        "added": "date",
        "tags": "list",
    }
    record = {name: data.fields[name][1].as_py() for name in data.fields.column_names}
    assert (record["cost"], record["cost_currency"]) == (1.5, "€")
    assert (record["size"], record["tags"]) == ("37", ["a", "n1"])


def test_an_imagefolder_needs_no_ids(tmp_path):
    folder = write_imagefolder(tmp_path / "folder", SHOP)
    with open(folder / "metadata.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = ["file_name,text", *(f"{row['file_name']},{row['title']}" for row in rows)]
    (folder / "metadata.csv").write_text("\n".join(lines))
    data = prepared(folder, tmp_path / "data")
    assert data.products == [f"{item.id}.jpg" for item in SHOP]


def test_invalid_rows_of_the_click_log_are_counted(table, tmp_path):
    log = tmp_path / "log.csv"
    rows = [f"some {item.colour} {item.kind},{item.id}.0,1" for item in SHOP]
    log.write_text("\n".join(["query,id,clicks", ",00001,1", *rows, "shoe,00002,many"]))
    with pytest.raises(InputError, match=r"log\.csv, line 2, column query: empty query"):
        prepared(table, tmp_path / "data", clicks=log)
    data = prepared(table, tmp_path / "data", clicks=log, settings=replace(settings(), photos=SKIP))
    note = (
        "2 invalid rows of the click log left out; the first: log.csv, line 2, column query: empty"
    )
    assert any(warning.startswith(note) for warning in data.manifest["warnings"])
    assert data.manifest["query_source"]["from"] == "log"


def test_ids_that_differ_by_a_decimal_point_are_the_same(tmp_path):
    shop = SHOP[10:]
    table = write_csv(tmp_path / "shop", shop)
    text = table.read_text()
    for item in shop:
        text = text.replace(f",{item.id},", f",{item.number}.0,", 1)
    table.write_text(text)
    log = tmp_path / "log.csv"
    rows = [f"some {item.colour} {item.kind},{item.number},1" for item in shop]
    log.write_text("\n".join(["query,id,clicks", *rows]))
    data = prepared(table, tmp_path / "data", clicks=log)
    assert data.products[0] == "10.0"
    assert not any("left out" in warning for warning in data.manifest["warnings"])
    pairs = {(query, product) for query, product in zip(*vars(data.pairs()).values(), strict=True)}
    assert len(pairs) > 20


def test_a_click_log_of_another_shop_raises_before_any_work(table, tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("query,id\nshoe,1\n")
    steps = Steps()
    sentence = r"none of its products is in the table \(it has '1', the table '00001', which differ"
    with pytest.raises(InputError, match=sentence):
        prepared(table, tmp_path / "data", clicks=log, progress=steps)
    assert steps.seen == []


def test_no_valid_row_raises(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("id,image,title\n1,a.jpg,x\n2,b.jpg,y\n")
    with pytest.raises(InputError, match=r"no valid row.*the first invalid one: t\.csv, line 2"):
        prepared(table, tmp_path / "data", settings=replace(settings(), photos=SKIP))
    table.write_text("id,image,title\n")
    with pytest.raises(InputError, match="no row in the table"):
        prepared(table, tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(
    ("rows", "options", "sentence"),
    [
        ("id,image,title\n1,a.jpg,x\n", {"text": ("names",)}, "unknown column of --text"),
        ("image,title\na.jpg,x\n", {}, "which column holds product ids"),
    ],
)
def test_invalid_calls_leave_nothing(tmp_path, rows, options, sentence):
    table = tmp_path / "t.csv"
    table.write_text(rows)
    changed = replace(settings(), columns=PhotoColumnsConfig(**options))
    with pytest.raises(UsageError, match=sentence):
        prepared(table, tmp_path / "data", settings=changed)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_features_beyond_the_number_format_raise(table, tmp_path):
    class Loud(Means):
        def extract(self, photos):
            regions = super().extract(photos)
            regions[0].features[0, 0] = 1e6
            return regions

    loud = RegionSource({"name": "loud"}, Loud, lambda folder: Loud(False))
    with pytest.raises(DataError, match=r"a feature of 1e\+06 does not fit float16"):
        prepared(table, tmp_path / "data", region_source=loud)
    changed = replace(settings(), photos=PhotosConfig(workers=1, dtype="float32"))
    assert (
        prepared(table, tmp_path / "data", region_source=loud, settings=changed).store.dtype == "f4"
    )


# Output folder and resuming -----------------------------------------------------------------


def test_the_same_call_again_changes_nothing(table, tmp_path):
    prepared(table, tmp_path / "data")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    prepared(table, tmp_path / "data", settings=settings(workers=2))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")} == before


def test_existing_folders_are_replaced_only_by_force(table, tmp_path):
    prepared(table, tmp_path / "data")
    other = replace(settings(), seed=7)
    with pytest.raises(OutputError, match="prepared from other files or with other settings"):
        prepared(table, tmp_path / "data", settings=other)
    forced = prepared(table, tmp_path / "data", settings=other, force=True)
    assert forced.manifest["settings"]["seed"] == 7
    with pytest.raises(OutputError, match="contains the raw files themselves"):
        prepared(table, table.parent)
    with pytest.raises(OutputError, match="exists and is not a prepared folder"):
        prepared(table, table.parent / "photos")


@pytest.mark.parametrize("in_workers", [True, False])
@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.6, 0.9])
def test_interrupted_anywhere_and_resumed(table, tmp_path, monkeypatch, fraction, in_workers):
    monkeypatch.setattr(Journal, "checkpoint", Journal.save)
    steps = Steps()
    region_source = means(in_workers)
    prepared(table, tmp_path / "whole", progress=steps, region_source=region_source)
    last, seen = round(fraction * (len(steps.seen) - 1)), Steps()

    def interrupt(*step):
        seen(*step)
        if len(seen.seen) == last + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepared(table, tmp_path / "cut", progress=interrupt, region_source=region_source)
    assert not (tmp_path / "cut").exists()
    rest = Steps()
    prepared(table, tmp_path / "cut", progress=rest, region_source=region_source)
    assert tree(tmp_path / "cut") == tree(tmp_path / "whole")
    if fraction:
        assert rest.stages().count("reading") < steps.stages().count("reading")


CHILD = """
import sys
from pathlib import Path
from photoshop import means, settings
from shopsight.prepare import journal
from shopsight.prepare.photos import ingest
journal.Journal.checkpoint = journal.Journal.save
progress = lambda stage, *_: print(stage, flush=True)
ingest.prepare_photos(sys.argv[1], Path(sys.argv[2]), means(), settings(), progress=progress)
"""


def test_killed_and_resumed_gives_the_same_bytes(tmp_path, repository):
    table = write_parquet(tmp_path / "shop", items(700))
    command = [sys.executable, "-c", CHILD, str(table)]
    path = os.pathsep.join([str(repository / "tests"), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path}
    whole = subprocess.run(
        [*command, str(tmp_path / "whole")], check=True, stdout=subprocess.PIPE, text=True, env=env
    )
    steps = whole.stdout.splitlines()
    assert len(steps) > 50
    rng = random.Random(0)
    for _ in range(3):
        with subprocess.Popen(
            [*command, str(tmp_path / "cut")], stdout=subprocess.PIPE, env=env
        ) as run:
            assert run.stdout is not None
            for _ in range(rng.randint(1, len(steps) // 3)):
                run.stdout.readline()
            os.kill(run.pid, signal.SIGKILL)
        assert run.returncode == -signal.SIGKILL
        assert not (tmp_path / "cut").exists()
    subprocess.run(
        [*command, str(tmp_path / "cut")], check=True, stdout=subprocess.DEVNULL, env=env
    )
    assert tree(tmp_path / "cut") == tree(tmp_path / "whole")
    assert not (tmp_path / "cut.partial").exists()


def test_changed_settings_start_over(table, tmp_path, monkeypatch):
    monkeypatch.setattr(Journal, "checkpoint", Journal.save)

    def interrupt(stage, *_):
        if stage == "extracting":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepared(table, tmp_path / "data", progress=interrupt)
    other = RegionSource({"name": "other"}, Means, load_means)
    steps = Steps()
    data = prepared(table, tmp_path / "data", region_source=other, progress=steps)
    assert steps.seen[0] == ("reading", 0)
    assert data.manifest["extractor"]["name"] == "other"


def test_unavailable_extractors_touch_nothing(table, tmp_path, monkeypatch):
    monkeypatch.setattr(Journal, "checkpoint", Journal.save)

    def interrupt(stage, *_):
        if stage == "extracting":
            raise KeyboardInterrupt

    def none():
        raise UsageError("no such extractor")

    with pytest.raises(KeyboardInterrupt):
        prepared(table, tmp_path / "data", progress=interrupt)
    with pytest.raises(UsageError, match="no such extractor"):
        prepared(
            table, tmp_path / "data", region_source=RegionSource({"name": "x"}, none, load_means)
        )
    steps = Steps()
    prepared(table, tmp_path / "data", progress=steps)
    assert "reading" not in steps.stages()


# Learning ---------------------------------------------------------------------------------------


class FakeTraining:
    """Trains nothing and records its arguments."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, list[list[str]], int]] = []

    def learn(self, photos, words, *, seed, progress, folder):
        assert all(photo.shape == (32, 24, 3) for photo in photos)
        self.calls.append((len(photos), [list(labels) for labels in words], seed))
        progress("learning: epoch 1", 1, 1)
        assert folder.is_dir()
        return Means(False)

    @property
    def region_source(self) -> RegionSource:
        return RegionSource({"name": "learned"}, None, load_means, self.learn)


def test_extractors_are_trained_once_on_training_products(table, tmp_path, monkeypatch):
    monkeypatch.setattr(Journal, "checkpoint", Journal.save)
    training = FakeTraining()

    def interrupt(stage, done, _):
        if stage == "extracting" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepared(table, tmp_path / "data", region_source=training.region_source, progress=interrupt)
    data = prepared(table, tmp_path / "data", region_source=training.region_source)
    assert len(training.calls) == 1
    count, words, seed = training.calls[0]
    train = {i for i, split in enumerate(_splits(data)) if split == "train"}
    assert count == len(words) == len(train)
    assert seed == 0
    texts = [{singular(word) for word in SHOP[i].title.lower().split()} for i in sorted(train)]
    assert words == [sorted(own) for own in texts]
    assert len(data.store) == 90


def _splits(data: PreparedData) -> list[str]:
    import pyarrow.parquet as pq

    return pq.read_table(data.path / "products.parquet")["first_split"].to_pylist()


def test_queries_replace_missing_texts_in_training(tmp_path):
    table = write_json_lines(tmp_path / "shop", SHOP)
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    for row in rows:
        row["q"] = [row.pop("title").split(" ", 1)[1]]
    table.write_text("\n".join(map(json.dumps, rows)))
    training = FakeTraining()
    changed = replace(settings(), columns=PhotoColumnsConfig(queries="q"))
    prepared(table, tmp_path / "data", region_source=training.region_source, settings=changed)
    words = training.calls[0][1]
    assert any("dress" in labels for labels in words)
    assert not any("brand0" in labels for labels in words)


# Regions that come with the table ----------------------------------------------------------------


def write_features(folder: Path, *, photos: bool) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for item in SHOP:
        row = {"id": item.id, "title": item.title, "price": item.number}
        row["features"] = [[item.number, 1.0, 0.5], [0, 0, item.number % 7]]
        row["boxes"] = [[0, 0, 1, 1], [0.5, 0, 1, 0.5]]
        row["labels"] = ["whole", "part"]
        if photos:
            (folder / f"{item.id}.jpg").write_bytes(item.jpeg)
            row["image"] = f"{item.id}.jpg"
        lines.append(json.dumps(row))
    (folder / "t.jsonl").write_text("\n".join(lines))
    return folder / "t.jsonl"


@pytest.mark.parametrize("photos", [True, False])
def test_precomputed_features(tmp_path, photos):
    table = write_features(tmp_path / "shop", photos=photos)
    ready = RegionSource({"name": "features"})
    data = prepared(table, tmp_path / "data", region_source=ready)
    assert (data.photos is not None) == photos
    batch = data.store.read([5])
    assert batch.features.tolist() == [[5, 1, 0.5], [0, 0, 5]]
    assert batch.boxes[:, :4].tolist() == [[0, 0, 1, 1], [0.5, 0, 1, 0.5]]
    assert batch.labels.tolist() == [0, 1]
    assert data.manifest["extractor"] == {"name": "features", "label_names": ["whole", "part"]}
    assert data.fields is not None
    assert data.fields.column_names == ["title", "price"]
    assert not (data.path / "extractor").exists()


def test_invalid_precomputed_features(tmp_path):
    table = write_features(tmp_path / "shop", photos=False)
    lines = table.read_text().splitlines()
    lines[3] = lines[3].replace('"boxes": [[0, 0, 1, 1]', '"boxes": [[0, 0, 0, 1]')
    table.write_text("\n".join(lines))
    ready = RegionSource({"name": "features"})
    sentence = "line 4, column features: product '00003': a box that is outside the photo"
    with pytest.raises(InputError, match=sentence):
        prepared(table, tmp_path / "data", region_source=ready)
    changed = replace(settings(), photos=SKIP)
    data = prepared(table, tmp_path / "data", region_source=ready, settings=changed)
    assert data.manifest["skipped"]["table"]["features"]["count"] == 1
    assert len(data.store) == 89
    with pytest.raises(UsageError, match="unknown column of --boxes, 'rectangles'"):
        prepared(
            table,
            tmp_path / "other",
            region_source=ready,
            settings=PhotosSettings(columns=PhotoColumnsConfig(boxes="rectangles")),
        )


def test_abandoned_folders_are_replaced(table, tmp_path):
    whole = prepared(table, tmp_path / "whole")
    partial = tmp_path / "data.partial"
    (partial / "data").mkdir(parents=True)
    (partial / "data" / "features-00007.npy").write_bytes(b"left over")
    (partial / "extractor").mkdir()
    (partial / "journal.json").write_text('{"fingerprint": "another"}')
    assert tree(prepared(table, tmp_path / "data").path) == tree(whole.path)
    shutil.rmtree(tmp_path / "data")
