from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shopsight.data.photo_store import (
    FIELDS,
    PHOTO_OFFSETS,
    PHOTOS,
    ProductPhotos,
    read_fields,
)
from shopsight.errors import DataError


def test_each_product_has_its_own_photo_or_none(tmp_path: Path) -> None:
    (tmp_path / PHOTOS).write_bytes(b"firstthird")
    np.save(tmp_path / PHOTO_OFFSETS, [0, 5, 5, 10])
    photos = ProductPhotos(tmp_path)
    assert len(photos) == 3
    assert [photos.jpeg(i) for i in range(3)] == [b"first", None, b"third"]


def test_no_product_has_a_photo(tmp_path: Path) -> None:
    (tmp_path / PHOTOS).touch()
    np.save(tmp_path / PHOTO_OFFSETS, [0, 0])
    assert ProductPhotos(tmp_path).jpeg(0) is None


def test_a_folder_without_photos_and_fields(tmp_path: Path) -> None:
    assert ProductPhotos.of(tmp_path) is None
    assert read_fields(tmp_path) is None
    with pytest.raises(DataError, match="has no photos"):
        ProductPhotos(tmp_path)


def test_photos_cut_short_are_rejected(tmp_path: Path) -> None:
    (tmp_path / PHOTOS).write_bytes(b"first")
    np.save(tmp_path / PHOTO_OFFSETS, [0, 5, 9])
    with pytest.raises(DataError, match=r"5 bytes do not match photo_offsets\.npy"):
        ProductPhotos(tmp_path)


def test_fields_keep_their_types(tmp_path: Path) -> None:
    pq.write_table(pa.table({"title": ["a"], "price": [2.5]}), tmp_path / FIELDS)
    fields = read_fields(tmp_path)
    assert fields is not None
    assert fields.to_pylist() == [{"title": "a", "price": 2.5}]
