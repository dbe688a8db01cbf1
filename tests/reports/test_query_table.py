"""All queries: order, values, missed products and their thumbnails within a budget."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shopsight.data.dataset import PreparedData
from shopsight.prepare.kddcup.ingest import prepare_kddcup
from shopsight.reports.query_table import query_table
from shopsight.types import Qrels, Run


class Photos:
    """A photo of 200 x 100 pixels for every product but the first; one is damaged."""

    def jpeg(self, product: int) -> bytes | None:
        if product in (0, 5):
            return b"damaged" if product else None
        file = io.BytesIO()
        Image.new("RGB", (200, 100), (product % 256, 90, 200)).save(file, "JPEG")
        return file.getvalue()


@pytest.fixture(scope="module")
def data(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare_kddcup(small_world, tmp_path_factory.mktemp("prepared") / "data")


def rows_of(data: PreparedData):
    ids = data.store.product_ids
    run = Run.from_dict(
        {
            "x": {ids[0]: 3.0, ids[1]: 2.0, ids[2]: 1.0, ids[3]: 0.5, ids[4]: 0.4},
            "y": {ids[0]: 3.0, ids[1]: 2.0},
            "z": {ids[0]: 1.0},
        }
    )
    relevance = {
        "x": {ids[0]: 1, ids[3]: 2, ids[1]: 0},
        "y": {ids[0]: 1},
        "z": {"nowhere": 1, ids[1]: 1, ids[0]: 1, ids[5]: 1, ids[2]: 1, ids[6]: 1},
    }
    values = {"dual": np.array([0.9, 0.1, 0.2]), "ensemble": np.array([0.5, 0.75, 0.25])}
    texts = {"x": "red dress", "y": "shoes"}
    return query_table(data, texts, run, Qrels(relevance), values, lambda p: f"title of {p}"), ids


def test_rows_show_what_should_have_been_first(data: PreparedData) -> None:
    rows, ids = rows_of(data)
    assert [row.query_id for row in rows] == ["z", "x", "y"]  # by the recommended run
    assert [row.values for row in rows] == [(0.2, 0.25), (0.9, 0.5), (0.1, 0.75)]
    assert [(row.text, row.relevant) for row in rows] == [("", 6), ("red dress", 2), ("shoes", 1)]
    z, x, y = rows
    # Two are relevant to x, and rank 2 holds another product.
    assert [(p.product_id, p.caption) for p in x.missed] == [(ids[3], f"title of {ids[3]}")]
    assert y.missed == ()
    assert [p.product_id for p in z.missed] == ["nowhere", ids[1], ids[5]]
    assert z.missed[0].caption == ""  # judged, but not in the data
    assert z.missing == 5
    assert all(product.thumb == b"" for row in rows for product in row.missed)


def test_thumbnails_are_small_and_within_the_budget(
    data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = PreparedData.open(data.path)
    monkeypatch.setattr(PreparedData, "photos", Photos())
    rows, ids = rows_of(data)
    thumbs = {product.product_id: product.thumb for row in rows for product in row.missed}
    assert thumbs.pop("nowhere") == b""
    assert thumbs.pop(ids[5]) == b""  # damaged
    assert set(thumbs) == {ids[3], ids[1]}
    for thumb in thumbs.values():
        with Image.open(io.BytesIO(thumb)) as photo:
            assert photo.size == (88, 44)
    # With room for one only, the first missed products of the queries come first.
    monkeypatch.setattr("shopsight.reports.query_table._BUDGET", 1)
    rows, _ = rows_of(data)
    shown = [p.product_id for row in rows for p in row.missed if p.thumb]
    assert shown == [ids[3]]
