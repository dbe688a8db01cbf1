"""Photos as queries: the product of a photo is found; invalid photos are rejected."""

from __future__ import annotations

import io
import sys
import zlib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shopsight.data.dataset import PreparedData
from shopsight.search.errors import PhotoError
from shopsight.search.searcher import Searcher


class Extractor:
    """Returns the regions of one product for any photo."""

    def __init__(self, data: PreparedData, row: int) -> None:
        batch, height_width = data.store.read([row]), [8, 6, 8, 6]
        self.regions = SimpleNamespace(
            boxes=batch.boxes[:, :4] * height_width,
            features=batch.features.astype(np.float32),
            labels=batch.labels,
        )
        self.seen: list[tuple[int, ...]] = []

    def extract(self, photos: list[Any]) -> list[Any]:
        self.seen += [photo.shape for photo in photos]
        return [self.regions] * len(photos)


@pytest.fixture
def photo_searcher(
    own_index: Path, shop_data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> tuple[Searcher, Extractor]:
    extractor, module = Extractor(shop_data, 11), ModuleType("shopsight.regions")
    module.load_extractor = lambda folder: extractor  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "shopsight.regions", module)
    (own_index / "extractor").mkdir()
    return Searcher.open(own_index), extractor


def jpeg(kind: str = "JPEG", mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (6, 8)).save(file, kind, **options)
    return file.getvalue()


def test_a_photo_finds_its_own_product(
    photo_searcher: tuple[Searcher, Extractor], shop_data: PreparedData
) -> None:
    searcher, extractor = photo_searcher
    assert searcher.info()["extractor"]
    first = shop_data.store.product_ids[11]
    for photo in (jpeg(), jpeg("PNG", "RGBA"), jpeg("PNG", "L"), np.zeros((8, 6, 3), np.uint8)):
        results = searcher.search_photo(photo, 3)
        assert results.hits[0].product_id == first
        assert results.hits[0].score == pytest.approx(1, abs=1e-3)
        assert results.query == ""
    turned = Image.Exif()
    turned[0x0112] = 6
    searcher.search_photo(jpeg(exif=turned.tobytes()), 3)
    assert extractor.seen == [(8, 6, 3)] * 4 + [(6, 8, 3)]


@pytest.mark.parametrize(
    ("photo", "sentence"),
    [
        (b"", "the photo is empty"),
        (b"<svg/>", "not a photo"),
        (jpeg()[:150], "photo"),
        (np.zeros((8, 6), np.uint8), r"\(H, W, 3\) uint8"),
        (np.zeros((0, 6, 3), np.uint8), r"\(H, W, 3\) uint8"),
        (np.zeros((8, 6, 3), np.float32), r"\(H, W, 3\) uint8"),
    ],
)
def test_invalid_photos(
    photo: Any, sentence: str, photo_searcher: tuple[Searcher, Extractor]
) -> None:
    with pytest.raises(PhotoError, match=sentence):
        photo_searcher[0].search_photo(photo)


def test_a_huge_photo_is_rejected_before_decoding(
    photo_searcher: tuple[Searcher, Extractor],
) -> None:
    header = jpeg("PNG")
    size = (50_000).to_bytes(4, "big")
    body = header[:16] + size + size + header[24:29]
    crc = zlib.crc32(body[12:29]).to_bytes(4, "big")
    with pytest.raises(PhotoError, match="the photo is too large"):
        photo_searcher[0].search_photo(body + crc + header[33:])


def test_an_index_without_extractor(index: Path) -> None:
    with pytest.raises(PhotoError, match="this index does not support photo queries"):
        Searcher.open(index).search_photo(jpeg())
