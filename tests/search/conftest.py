"""Fixtures: the small world as a shop with fields and photos, and indexes of it."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from shopsight.config import IndexConfig
from shopsight.data.dataset import PreparedData
from shopsight.inference.run_folder import RunFolder
from shopsight.search.index import build_index

Trained = tuple[Path, str]


def as_shop(source: Path, folder: Path, seed: int = 0, word: str = "thing") -> PreparedData:
    """Copy a prepared folder, adding photos, titles, categories and prices."""
    shutil.copytree(source, folder)
    rng, count = np.random.default_rng(seed), len(PreparedData.open(source).store)
    prices = np.round(rng.random(count) * 100, 2)
    table = pa.table(
        {
            "title": [f"{word} {i}" for i in range(count)],
            "category": rng.choice(["Shoes", "Bags", 'Ünïcode "q" \\ x'], count).tolist(),
            "price": pa.array(prices, mask=rng.random(count) < 0.1),
            "in_stock": rng.random(count) < 0.5,
            "stars": rng.integers(1, 6, count),
            "added": [None if i % 9 == 4 else date(2024, i % 12 + 1, 15) for i in range(count)],
            "tags": [None if i % 9 == 4 else ["Sale", f"c{i % 4}"][i % 2 :] for i in range(count)],
        }
    )
    pq.write_table(table, folder / "fields.parquet")
    photos = []
    for i in range(count):
        file = io.BytesIO()
        pixels = np.random.default_rng([seed, i]).integers(0, 255, (3, 4, 3), np.uint8)
        Image.fromarray(pixels).resize((32, 24)).save(file, "JPEG")
        photos.append(b"" if i % 50 == 7 else file.getvalue())
    (folder / "photos.bin").write_bytes(b"".join(photos))
    np.save(folder / "photo_offsets.npy", np.cumsum([0, *map(len, photos)]))
    return PreparedData.open(folder)


@pytest.fixture(scope="session")
def shop_data(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """The small world as a shop (read-only)."""
    return as_shop(small_data, tmp_path_factory.mktemp("shop") / "data")


@pytest.fixture(scope="session")
def mixed_run(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The trained run with every model in its ensemble, and sentence match on 12 candidates."""
    folder = tmp_path_factory.mktemp("mixed") / "run"
    shutil.copytree(trained[0], folder, ignore=shutil.ignore_patterns("cache", "runs"))
    ensembles = json.loads((folder / "fusion.json").read_text())
    weights = {"label-match": 0.1, "word-match": 0.2, "sentence-match": 0.2, "dual": 0.3}
    weights["cross"] = 0.2
    ensembles[-1]["weights"] = weights
    (folder / "fusion.json").write_text(json.dumps(ensembles))
    manifest = json.loads((folder / "run.json").read_text())
    manifest["recipe"]["sentence_match"]["depth"] = 12
    (folder / "run.json").write_text(json.dumps(manifest))
    return RunFolder.read(folder)


@pytest.fixture(scope="session")
def index(
    mixed_run: RunFolder, shop_data: PreparedData, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An index of the shop in float32, in which every product matches (read-only)."""
    folder = tmp_path_factory.mktemp("index") / "index"
    build_index(mixed_run, shop_data, folder, IndexConfig(precision="float32", match_recall=0))
    return folder


@pytest.fixture
def own_index(index: Path, tmp_path: Path) -> Path:
    """A writable copy of the index."""
    shutil.copytree(index, tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture(scope="session")
def subset(
    small_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., PreparedData]:
    """Factory of prepared folders with some products of the small world."""

    def make(start: int, stop: int, word: str = "thing", suffix: str = "") -> PreparedData:
        folder = tmp_path_factory.mktemp("subset") / "data"
        whole = as_shop(small_data, folder, word=word)
        store, rows = whole.store, np.arange(start, stop)
        batch, sizes = store.read(rows), store.image_sizes[rows]
        boxes = store.pixel_boxes[store.offsets[start] : store.offsets[stop]].copy()
        ids = [f"{product_id}{suffix}" for product_id in store.product_ids[start:stop]]
        jpegs = [whole.photos.jpeg(i) or b"" for i in rows.tolist()]
        fields = whole.fields.slice(start, stop - start)
        for shard in folder.glob("features-*.npy"):
            shard.unlink()
        arrays = {
            "features-00000": batch.features,
            "offsets": np.cumsum([0, *batch.lengths]),
            "boxes": boxes,
            "labels": batch.labels,
            "image_sizes": sizes,
            "product_ids": np.array([product_id.encode() for product_id in ids]),
            "photo_offsets": np.cumsum([0, *map(len, jpegs)]),
        }
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        (folder / "photos.bin").write_bytes(b"".join(jpegs))
        pq.write_table(fields, folder / "fields.parquet")
        manifest = json.loads((folder / "data.json").read_text())
        manifest["files"] = {}
        (folder / "data.json").write_text(json.dumps(manifest))
        return PreparedData.open(folder)

    return make
