"""Real photos and titles, where they are beside the checkout."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from photoshop import means
from shopsight.config import PhotoColumnsConfig, PhotosConfig
from shopsight.prepare.photos.ingest import prepare_photos
from shopsight.prepare.photos.settings import PhotosSettings


@pytest.mark.slow
def test_real_photos_and_titles(shared_data: Path, tmp_path: Path) -> None:
    table = pq.read_table(shared_data / "fashion" / "photos.parquet")
    table = table.take(list(range(0, len(table), 20)))
    pq.write_table(table, tmp_path / "photos.parquet", row_group_size=500)
    columns = PhotoColumnsConfig(text=("productDisplayName",), split_column="split")
    data = prepare_photos(
        str(tmp_path / "photos.parquet"),
        tmp_path / "data",
        means(),
        PhotosSettings(PhotosConfig(workers=2), columns),
    )
    rows = table.to_pylist()
    assert data.store.product_ids == [str(row["id"]) for row in rows]
    photos, fields = data.photos, data.fields
    assert photos is not None
    assert fields is not None
    kept = sum(photos.jpeg(i) == row["image"]["bytes"] for i, row in enumerate(rows))
    assert kept > 0.9 * len(rows)  # small JPEGs are kept as they are
    assert fields["baseColour"].to_pylist() == [row["baseColour"] or None for row in rows]
    unused = Counter(row["split"] for row in rows)["unused"]
    warning = f"{unused:,} products of split 'unused' belong to no split of the prepared data"
    assert warning in data.manifest["warnings"]
    texts = Counter(word for text in data.queries("train").texts for word in text.split())
    assert {"men", "women", "black", "shoes"} <= set(texts)
    for split in ("valid", "testA"):
        qrels = data.qrels(split)
        titles = {str(row["id"]): row["productDisplayName"].lower() for row in rows}
        queries = dict(zip(data.queries(split).ids, data.queries(split).texts, strict=True))
        for query, grades in qrels.relevance.items():
            for product in grades:
                assert all(word.rstrip("s") in titles[product] for word in queries[query].split())
