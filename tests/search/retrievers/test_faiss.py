"""Retrieval in one segment: flat, in lists, and filtered, against comparing with everything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopsight.config import IndexConfig
from shopsight.errors import DataError
from shopsight.search.retrievers.faiss import FaissIndex, build_faiss_index, exact, overlap
from shopsight.types import IntArray

ROWS, WIDTH = 40_000, 32


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Vectors of length 1 around some hundred centres."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((300, WIDTH))
    found = centres[rng.integers(0, 300, ROWS)] + 0.5 * rng.standard_normal((ROWS, WIDTH))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def queries(vectors: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(1)
    found = vectors[rng.integers(0, ROWS, 40)] + 0.1 * rng.standard_normal((40, WIDTH))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def listed(
    vectors: np.ndarray, queries: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> tuple[FaissIndex, dict[str, object]]:
    path = tmp_path_factory.mktemp("recall") / "vectors.faiss"
    config = IndexConfig(index_type="ivf", nlist=128, target_recall=0.97, candidates=100)
    about = build_faiss_index(ROWS, lambda at: vectors[at], path, config, queries)
    return FaissIndex.open(path, about, ROWS, lambda at: vectors[at]), about


def reference_models(
    queries: np.ndarray, vectors: np.ndarray, allowed: np.ndarray, depth: int
) -> IntArray:
    scores = np.where(allowed, queries @ vectors.T, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :depth]


def test_flat_finds_the_nearest(vectors: np.ndarray, queries: np.ndarray, tmp_path: Path) -> None:
    rows, path = 5_000, tmp_path / "vectors.faiss"
    about = build_faiss_index(rows, lambda at: vectors[at], path, IndexConfig(), None)
    assert about == {"kind": "flat"}
    recall = FaissIndex.open(path, about, rows, lambda at: vectors[at])
    found, scores = recall.search(queries, 200)
    wanted = reference_models(queries, vectors[:rows], np.ones(rows, bool), 200)
    assert overlap(found, wanted) >= 0.999
    assert (np.diff(scores, axis=1) <= 0).all()
    assert scores[:, 0] == pytest.approx((queries @ vectors[:rows].T).max(1), abs=1e-5)


def test_lists_find_the_wanted_share(
    listed: tuple[FaissIndex, dict[str, object]], vectors: np.ndarray, queries: np.ndarray
) -> None:
    recall, about = listed
    assert about["kind"] == "ivf"
    assert 1 < int(str(about["nprobe"])) < 128
    found, _ = recall.search(queries, 100)
    share = overlap(found, reference_models(queries, vectors, np.ones(ROWS, bool), 100))
    assert share >= 0.97
    assert share == pytest.approx(about["recall"], abs=1e-3)


@pytest.mark.parametrize("share", [0.9, 0.6, 0.3, 0.02, 0.0002])
def test_filters_keep_the_share(
    share: float, listed: tuple[FaissIndex, dict[str, object]], vectors: np.ndarray,
    queries: np.ndarray,
) -> None:  # fmt: skip
    allowed = np.random.default_rng(2).random(ROWS) < share
    found, _ = listed[0].search(queries, 100, allowed)
    depth = min(100, int(allowed.sum()))
    assert found.shape == (40, depth)
    assert (found >= 0).all()
    assert allowed[found].all()
    assert overlap(found, reference_models(queries, vectors, allowed, depth)) >= 0.95


def test_a_filter_on_products_far_away_still_finds_them(
    listed: tuple[FaissIndex, dict[str, object]], vectors: np.ndarray, queries: np.ndarray
) -> None:
    """The lists near the query hold none of the allowed products."""
    allowed = np.zeros(ROWS, bool)
    allowed[reference_models(-queries[:1], vectors, np.ones(ROWS, bool), 25_000)[0]] = True
    found, _ = listed[0].search(queries[:1], 300, allowed)
    assert (found >= 0).all()
    assert allowed[found].all()
    assert overlap(found, reference_models(queries[:1], vectors, allowed, 300)) >= 0.9


def test_more_than_there_is(
    listed: tuple[FaissIndex, dict[str, object]], queries: np.ndarray
) -> None:
    allowed = np.zeros(ROWS, bool)
    assert listed[0].search(queries, 5, allowed)[0].shape == (40, 0)
    allowed[[7, 9]] = True
    assert sorted(listed[0].search(queries[:1], 5, allowed)[0][0].tolist()) == [7, 9]
    assert listed[0].search(queries[:0], 5)[0].shape[0] == 0


def test_exact_goes_through_blocks(
    vectors: np.ndarray, queries: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shopsight.search.retrievers.faiss._BLOCK", 1000)
    rows = np.arange(0, 9_999, 3)
    found, _ = exact(queries, rows, lambda at: vectors[at], 50)
    allowed = np.zeros(ROWS, bool)
    allowed[rows] = True
    assert overlap(found, reference_models(queries, vectors, allowed, 50)) == 1.0


@pytest.mark.parametrize("content", [b"", b"IxSQ", b"\0" * 400, None])
def test_a_damaged_file_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "vectors.faiss"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"vectors\.faiss: missing or damaged"):
        FaissIndex.open(path, {"kind": "flat"}, 3, lambda at: np.zeros((len(at), 2), np.float32))
