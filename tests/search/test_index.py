"""Building, changing and checking an index, and errors of damaged ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shopsight.config import IndexConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import DataError, OutputError, UsageError
from shopsight.formats.locks import folder_lock
from shopsight.inference.run_folder import RunFolder
from shopsight.search.encoders import models_of
from shopsight.search.errors import UnknownProductError
from shopsight.search.index import (
    add_products,
    build_index,
    check_index,
    compact_index,
    remove_products,
    update_products,
)
from shopsight.search.manifest import INDEX_FILE, read_generation
from shopsight.search.searcher import Searcher
from shopsight.search.snapshot import Snapshot

Subset = Callable[..., PreparedData]
QUERY = "red cotton shoe"


def results_of(path: Path, k: int = 30) -> dict[str, object]:
    hits = Searcher.open(path).search(QUERY, k, candidates=100).hits
    assert len(hits) == k
    return {hit.product_id: pytest.approx(hit.score, abs=3e-3) for hit in hits}


def scores(path: Path, k: int = 30) -> dict[str, float]:
    return {
        hit.product_id: hit.score
        for hit in Searcher.open(path).search(QUERY, k, candidates=100).hits
    }


def test_an_index_is_self_contained(
    index: Path, mixed_run: RunFolder, shop_data: PreparedData, tmp_path: Path
) -> None:
    moved = shutil.copytree(index, tmp_path / "elsewhere")
    assert results_of(moved) == scores(index)
    manifest = json.loads((moved / INDEX_FILE).read_text())
    assert manifest["format"] == "shopsight index"
    assert manifest["products"] == len(shop_data.store) == check_index(moved).products
    assert manifest["models"] == {
        "label-match": 0.1, "word-match": 0.2, "sentence-match": 0.2, "dual": 0.3, "cross": 0.2,
        "student": 0.0,  # which retrieves
    }  # fmt: skip
    everything = "".join(
        path.read_text() for path in moved.rglob("*.json") if path.name != "tokenizer.json"
    )
    for path in (mixed_run.path, shop_data.path, index):
        assert str(path) not in everything
    assert not list(moved.rglob("*.pkl"))


def test_searcher_describes_index_and_products(index: Path, shop_data: PreparedData) -> None:
    searcher = Searcher.open(index)
    info = searcher.info()
    assert (info["products"], info["photos"], info["regions"]) == (len(shop_data.store), True, True)
    fields = ["title", "category", "price", "in_stock", "stars", "added", "tags"]
    assert info["fields"] == fields
    assert (info["engine"], info["extractor"], info["candidates"]) == ("embedded", False, 200)
    assert str(index) not in json.dumps(info)
    first = shop_data.store.product_ids[3]
    product = searcher.product(first)
    assert product.fields["title"] == "thing 3"
    expected = shop_data.store.read([3]).boxes[:, :4]
    assert np.array(product.boxes) == pytest.approx(expected, abs=1e-6)
    assert product.has_photo
    assert searcher.photo(first) == shop_data.photos.jpeg(3)
    bare = searcher.product(shop_data.store.product_ids[7])
    assert not bare.has_photo
    assert searcher.photo(bare.product_id) is None
    for name in ("", "nothing", "\ud800", "a\0", first + "\0", "../" + first, "x" * 5000):
        with pytest.raises(UnknownProductError, match="no product"):
            searcher.product(name)


def test_add_update_remove_and_compact(
    mixed_run: RunFolder, shop_data: PreparedData, subset: Subset, tmp_path: Path
) -> None:
    """The same products give the same results, however the index came about."""
    build_index(mixed_run, subset(0, 300), tmp_path / "a", IndexConfig(precision="float32"))
    build_index(mixed_run, subset(0, 400), tmp_path / "b", IndexConfig(precision="float32"))
    searcher = Searcher.open(tmp_path / "a")
    assert add_products(tmp_path / "a", subset(300, 500)).products == 500
    assert searcher.info()["products"] == 500
    removed = shop_data.store.product_ids[400:500]
    assert remove_products(tmp_path / "a", removed).products == 400
    assert searcher.info()["generation"] == 3
    assert results_of(tmp_path / "a") == scores(tmp_path / "b")
    with pytest.raises(UnknownProductError):
        searcher.product(removed[0])
    newer = update_products(tmp_path / "a", subset(250, 300, "newer"))
    assert (newer.products, len(newer.segments)) == (400, 3)
    assert check_index(tmp_path / "a") == newer
    assert results_of(tmp_path / "a") == scores(tmp_path / "b")
    assert searcher.product(shop_data.store.product_ids[270]).fields["title"] == "newer 270"
    assert searcher.product(shop_data.store.product_ids[50]).fields["title"] == "thing 50"
    compact = compact_index(tmp_path / "a")
    assert [(segment.rows, segment.removed) for segment in compact.segments] == [(400, 0)]
    assert check_index(tmp_path / "a") == compact
    assert results_of(tmp_path / "a") == scores(tmp_path / "b")
    assert searcher.product(shop_data.store.product_ids[270]).fields["title"] == "newer 270"
    photo = searcher.photo(shop_data.store.product_ids[150])
    assert photo == shop_data.photos.jpeg(150)


def test_changes_compact_the_index(mixed_run: RunFolder, subset: Subset, tmp_path: Path) -> None:
    config = IndexConfig(compact_above=2, compact_fraction=0.2, regions=False)
    build_index(mixed_run, subset(0, 100), tmp_path / "a", config)
    more = [subset(0, 5, suffix=letter) for letter in "xy"]
    assert len(add_products(tmp_path / "a", more[0]).segments) == 2
    # The two small segments are merged, the large one stays.
    assert [info.rows for info in add_products(tmp_path / "a", more[1]).segments] == [100, 10]
    ids = Snapshot.current(tmp_path / "a").ids(np.arange(110))
    assert len(remove_products(tmp_path / "a", ids[:20]).segments[0].removed_file) > 0
    assert remove_products(tmp_path / "a", ids[20:30]).segments[0].removed_file == ""
    assert check_index(tmp_path / "a").products == 80
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert len([name for name in names if name.startswith("segment-")]) <= 3


def test_removed_rows_keep_their_checksum(
    own_index: Path, shop_data: PreparedData, subset: Subset
) -> None:
    remove_products(own_index, shop_data.products[:3])
    generation = add_products(own_index, subset(0, 3, suffix="x"))
    assert generation.segments[0].removed_file in generation.files
    check_index(own_index)


def test_everything_can_be_removed(own_index: Path, shop_data: PreparedData) -> None:
    assert remove_products(own_index, shop_data.store.product_ids).products == 0
    searcher = Searcher.open(own_index)
    results = searcher.search(QUERY, explain=True)
    assert (results.hits, results.total) == ((), 0)
    assert searcher.facets() == ()
    check_index(own_index)
    assert add_products(own_index, shop_data).products == len(shop_data.store)
    assert len(searcher.search(QUERY).hits) == 10


def test_rejected_changes_change_nothing(
    own_index: Path, shop_data: PreparedData, subset: Subset, small_data: Path, tmp_path: Path
) -> None:
    before = read_generation(own_index)
    first = shop_data.store.product_ids[0]
    with pytest.raises(
        UsageError, match=f"product '{first}' already exists; use `shopsight index update`"
    ):
        add_products(own_index, shop_data)
    with pytest.raises(UnknownProductError, match="no product 'nothing'"):
        remove_products(own_index, [first, "nothing"])
    other = subset(0, 3, suffix="x")
    _retype(other.path)
    with pytest.raises(DataError, match="'a' is not a number, unlike price in the index"):
        add_products(own_index, PreparedData.open(other.path))
    with (
        folder_lock(own_index),
        pytest.raises(OutputError, match="another shopsight process is writing here"),
    ):
        remove_products(own_index, [first])
    assert read_generation(own_index) == before
    check_index(own_index)


def _retype(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"price": ["a", "b", "c"]}), folder / "fields.parquet")


def test_a_killed_build_resumes(
    mixed_run: RunFolder, shop_data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shopsight.search.segment_sources._BATCH", 50)
    monkeypatch.setattr("shopsight.search.segment_sources._CHECKPOINT", 100)
    config, steps = IndexConfig(precision="int8"), []
    build_index(mixed_run, shop_data, tmp_path / "whole", config)

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "encode" and done >= 350:
            raise KeyboardInterrupt

    def watch(stage: str, done: int, total: int) -> None:
        steps.append((stage, done))

    with pytest.raises(KeyboardInterrupt):
        build_index(mixed_run, shop_data, tmp_path / "a", config, stop)
    with pytest.raises(DataError, match="unfinished index; run the same `index build` again"):
        Searcher.open(tmp_path / "a")
    build_index(mixed_run, shop_data, tmp_path / "a", config, watch)
    assert steps[0] == ("encode", 300)
    assert results_of(tmp_path / "a") == scores(tmp_path / "whole")
    check_index(tmp_path / "a")
    for path in (tmp_path / "whole").glob("segment-*/*.npy"):
        twin = next((tmp_path / "a").glob(f"segment-*/{path.name}"))
        assert twin.read_bytes() == path.read_bytes(), path.name
    assert not list((tmp_path / "a").glob("pending-*"))


def test_a_build_rejects_its_arguments(
    mixed_run: RunFolder, shop_data: PreparedData, index: Path, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match="already an index; change it with `shopsight index add`"):
        build_index(mixed_run, shop_data, index)
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "today.txt").write_text("dear")
    with pytest.raises(OutputError, match=r"not an index, but it contains today\.txt"):
        build_index(mixed_run, shop_data, tmp_path / "diary")
    with pytest.raises(OutputError, match="is a file; choose another folder"):
        build_index(mixed_run, shop_data, tmp_path / "diary" / "today.txt")
    run = shutil.copytree(mixed_run.path, tmp_path / "run")
    manifest = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**manifest, "feature_width": 99}))
    with pytest.raises(
        DataError, match=r"feature dimension is 16, but the models of .* were trained with 99"
    ):
        build_index(RunFolder.read(run), shop_data, tmp_path / "out")
    (run / "student" / "done.json").unlink()
    assert "dual" in models_of(RunFolder.read(run))
    (run / "dual" / "done.json").unlink()
    with pytest.raises(UsageError, match="retrieval needs the dual encoder"):
        build_index(RunFolder.read(run), shop_data, tmp_path / "out")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def _remove(path: Path) -> None:
    path.unlink()


def test_every_file_is_checked(own_index: Path) -> None:
    files = [path for path in own_index.rglob("*") if path.is_file() and path.name[0] != "."]
    names = sorted(read_generation(own_index).files)
    assert len(names) >= 25
    assert {path.relative_to(own_index).as_posix() for path in files} - set(names) <= {
        INDEX_FILE,
        "previous.json",
    }
    for name in names:
        path = own_index / name
        kept = path.read_bytes()
        for damage in (_cut, _flip, _remove):
            damage(path)
            with pytest.raises(DataError, match=path.name.replace(".", r"\.")):
                check_index(own_index)
            path.write_bytes(kept)
    check_index(own_index)
