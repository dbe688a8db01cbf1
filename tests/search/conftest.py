"""A shop to search: the small world's products with fields and photos, and an index of them."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
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


def dress(source: Path, folder: Path, seed: int = 0, word: str = "thing") -> PreparedData:
    """A copy of a prepared folder whose products have photos, titles, categories and prices."""
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
    """The small world as a shop; read it, never write it."""
    return dress(small_data, tmp_path_factory.mktemp("shop") / "data")


@pytest.fixture(scope="session")
def mixed_run(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The trained run with every model in its ensemble, and sentence match at a depth."""
    folder = tmp_path_factory.mktemp("mixed") / "run"
    shutil.copytree(trained[0], folder, ignore=shutil.ignore_patterns("cache", "runs"))
    ensembles = json.loads((folder / "fusion.json").read_text())
    weights = {"label-match": 0.1, "word-match": 0.2, "sentence-match": 0.3, "dual": 0.4}
    ensembles[-1]["weights"] = weights
    (folder / "fusion.json").write_text(json.dumps(ensembles))
    about = json.loads((folder / "run.json").read_text())
    about["recipe"]["sentence_match"]["depth"] = 12
    (folder / "run.json").write_text(json.dumps(about))
    return RunFolder.read(folder)


@pytest.fixture(scope="session")
def index(
    mixed_run: RunFolder, shop_data: PreparedData, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An index of the shop in float32; read it, never write it."""
    folder = tmp_path_factory.mktemp("index") / "index"
    build_index(mixed_run, shop_data, folder, IndexConfig(precision="float32"))
    return folder


@pytest.fixture
def own_index(index: Path, tmp_path: Path) -> Path:
    """A copy of the index that a test may change."""
    shutil.copytree(index, tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture(scope="session")
def subset(
    small_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., PreparedData]:
    """Makes a prepared folder of some products of the small world, with another title."""

    def make(start: int, stop: int, word: str = "thing", suffix: str = "") -> PreparedData:
        folder = tmp_path_factory.mktemp("subset") / "data"
        whole = dress(small_data, folder, word=word)
        store, rows = whole.store, np.arange(start, stop)
        batch, sizes = store.read(rows), store.image_sizes[rows]
        boxes = store.pixel_boxes[store.offsets[start] : store.offsets[stop]].copy()
        ids = [f"{one}{suffix}" for one in store.product_ids[start:stop]]
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
            "product_ids": np.array([one.encode() for one in ids]),
            "photo_offsets": np.cumsum([0, *map(len, jpegs)]),
        }
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        (folder / "photos.bin").write_bytes(b"".join(jpegs))
        pq.write_table(fields, folder / "fields.parquet")
        about = json.loads((folder / "data.json").read_text())
        about["files"] = {}
        (folder / "data.json").write_text(json.dumps(about))
        return PreparedData.open(folder)

    return make
