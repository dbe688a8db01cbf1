"""Searcher: unusual queries, explanations, similar products, photo queries."""

from __future__ import annotations

import io
import json
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from shopsight import scoring
from shopsight.data.dataset import PreparedData
from shopsight.errors import UsageError
from shopsight.inference.attention import AttentionWeights
from shopsight.inference.run_folder import RunFolder
from shopsight.search.errors import PhotoError, UnknownProductError
from shopsight.search.searcher import Searcher
from shopsight.search.snapshot import Snapshot

UNUSUAL = [
    "", " ", "\0", "\ud800", "a\ud800b", "😀", "\u202e abc", "’“”", "ﷺ" * 50, "x" * 100_000,
    "word " * 20_000, "the and of", "ÄÖÜ ß ẞ İ ı", "e\u0301" * 30, "\x1b[31m red", "红色 鞋",
    "%00 %s {} ${x} ; drop table", "\n\t\r", "\ufeff", "\uffff\U0010ffff", "-" * 300, "1e309 nan",
]  # fmt: skip


@pytest.fixture(scope="module")
def searcher(index: Path) -> Searcher:
    return Searcher.open(index)


@pytest.mark.parametrize("query", UNUSUAL, ids=range(len(UNUSUAL)))
def test_unusual_queries(query: str, searcher: Searcher) -> None:
    answer = searcher.search(query, 3, candidates=20, explain=True)
    assert len(answer.hits) == 3
    assert np.isfinite([hit.score for hit in answer.hits]).all()
    json.dumps(answer.to_dict(), allow_nan=False, ensure_ascii=False).encode()


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.one_of(st.text(), st.binary().map(lambda b: b.decode("utf-8", "surrogateescape"))))
def test_any_text_is_a_query(searcher: Searcher, query: str) -> None:
    answer = searcher.search(query, 2, candidates=5, explain=True)
    assert len(answer.hits) == 2
    json.dumps(answer.to_dict(), allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "options", [{"k": 0}, {"k": -1}, {"candidates": -3}, {"k": 0, "candidates": 5}]
)
def test_numbers_below_one(options: dict[str, int], searcher: Searcher) -> None:
    with pytest.raises(UsageError, match="must be at least 1"):
        searcher.search("red shoe", **options)


def test_no_queries_give_no_results(searcher: Searcher) -> None:
    assert searcher.search_many([]) == []


def test_unknown_words_are_named(searcher: Searcher, shop_data: PreparedData) -> None:
    known = shop_data.queries("train").texts[0].split()[-1]
    answer = searcher.search(f"{known} zzyzx Qwrtpl the 😀 zzyzx", 1, explain=True)
    assert answer.unknown_words == ("zzyzx", "Qwrtpl")
    words = answer.hits[0].explanation.words
    assert [word.word for word in words] == [known, "zzyzx", "Qwrtpl", "the", "😀", "zzyzx"]
    assert [word.known for word in words[:4]] == [True, False, False, True]


def test_an_explanation_is_what_word_match_sees(
    searcher: Searcher, index: Path, mixed_run: RunFolder, shop_data: PreparedData
) -> None:
    """Weights as training shows them; matches summed over regions give back the heads' own."""
    query = shop_data.queries("valid").texts[1]
    answer = searcher.search(query, 6, explain=True)
    looks = AttentionWeights(mixed_run, shop_data, "cpu")
    snapshot = Snapshot.current(index)
    for hit in answer.hits:
        shown = looks.words(query, hit.product_id)
        words = hit.explanation.words
        assert [word.word for word in words] == [text for text, _ in shown]
        assert [word.weight for word in words] == pytest.approx([w for _, w in shown], abs=1e-5)
        row = snapshot.row_of(hit.product_id)
        assert hit.explanation.boxes == snapshot.boxes(row)
        for word in words:
            assert (word.match is None) == (word.weight == 0)
            if word.region is not None:
                assert 0 <= word.region < len(hit.explanation.boxes)


def test_regions_add_up_to_the_match(searcher: Searcher, index: Path) -> None:
    snapshot, rows = Snapshot.current(index), np.array([3, 40, 7])
    model, products = searcher._models.model("word-match"), snapshot.encodings("word-match", rows)
    with torch.inference_mode():
        queries = model.encode_queries(searcher._models.tokens(["red cotton shoe"]))
        attribution = model.attribute(queries, products, snapshot.regions(rows))
    for matches, by_region in zip(attribution.matches, attribution.by_region, strict=True):
        assert by_region.sum(1).tolist() == pytest.approx(matches.tolist(), abs=1e-4)
    similarities = scoring.max_sim(queries.words[0], products.heads)
    assert torch.allclose(attribution.matches, similarities, atol=1e-5)


def test_similar_products_exclude_the_product(searcher: Searcher, index: Path) -> None:
    snapshot = Snapshot.current(index)
    first = snapshot.ids(np.array([5]))[0]
    found = searcher.similar(first, 4)
    cosines = snapshot.vectors(np.arange(len(snapshot))) @ snapshot.vectors(np.array([5]))[0]
    cosines[5] = -2
    order = np.argsort(-cosines, kind="stable")[:4]
    assert [hit.product_id for hit in found.hits] == snapshot.ids(order)
    assert first not in [hit.product_id for hit in searcher.similar(first, 1000).hits]
    with pytest.raises(UnknownProductError):
        searcher.similar("nothing")
    with pytest.raises(UsageError, match="must be at least 1"):
        searcher.similar(first, 0)


def test_threads_share_a_searcher(searcher: Searcher, shop_data: PreparedData) -> None:
    queries = shop_data.queries("valid").texts[:8]
    expected = [[h.product_id for h in searcher.search(q, 5).hits] for q in queries]
    found: dict[int, list[str]] = {}

    def ask(number: int) -> None:
        found[number] = [h.product_id for h in searcher.search(queries[number], 5).hits]

    threads = [threading.Thread(target=ask, args=[i]) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(8)] == expected


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
        found = searcher.search_photo(photo, 3)
        assert found.hits[0].product_id == first
        assert found.hits[0].score == pytest.approx(1, abs=1e-3)
        assert found.query == ""
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
    import zlib

    crc = zlib.crc32(body[12:29]).to_bytes(4, "big")
    with pytest.raises(PhotoError, match="the photo is too large"):
        photo_searcher[0].search_photo(body + crc + header[33:])


def test_an_index_without_extractor(searcher: Searcher) -> None:
    with pytest.raises(PhotoError, match="this index does not support photo queries"):
        searcher.search_photo(jpeg())
