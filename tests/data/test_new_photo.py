"""Photos that are not in the catalogue."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from photoshop import items, means, saved, settings, write_csv
from shopsight.config import SmallPhotoConfig
from shopsight.data.dataset import PreparedData
from shopsight.data.new_photo import read_new_photo
from shopsight.errors import DataError, InputError
from shopsight.formats.images import decode_photo
from shopsight.prepare.photos.ingest import prepare_photos
from shopsight.prepare.photos.settings import PhotosSettings


def test_a_new_photo_is_as_large_as_those_of_the_folder(tmp_path):
    table = write_csv(tmp_path / "shop", items(30))
    photo = saved(Image.new("RGB", (300, 200), "red"), "PNG")
    (table.parent / "photos" / "00007.jpg").write_bytes(photo)
    given = settings()
    small = PhotosSettings(
        given.photos, given.columns, SmallPhotoConfig(photo_side=48), given.queries
    )
    data = prepare_photos(str(table), tmp_path / "data", means(), small)
    pixels = read_new_photo(photo, data)
    assert pixels.shape == (32, 48, 3)
    assert data.photos is not None
    np.testing.assert_array_equal(pixels, decode_photo(data.photos.jpeg(7) or b""))
    with pytest.raises(InputError, match="photo: not a photo"):
        read_new_photo(b"<html>", data)
    with pytest.raises(InputError, match=r"none\.jpg: .*does not exist"):
        read_new_photo(tmp_path / "none.jpg", data)


def test_a_folder_without_photos(small_data):
    with pytest.raises(DataError, match="was not prepared from photos"):
        read_new_photo(b"", PreparedData.open(small_data))
