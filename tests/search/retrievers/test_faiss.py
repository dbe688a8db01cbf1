"""Faiss retrieval in one segment (flat, IVF, filtered) against exhaustive search."""

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
    """Unit vectors around 300 centres."""
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
def ivf(
    vectors: np.ndarray, queries: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> tuple[FaissIndex, dict[str, object]]:
    path = tmp_path_factory.mktemp("recall") / "vectors.faiss"
    config = IndexConfig(index_type="ivf", nlist=128, target_recall=0.97, candidates=100)
    params = build_faiss_index(ROWS, lambda rows: vectors[rows], path, config, queries)
    return FaissIndex.open(path, params, ROWS, lambda rows: vectors[rows]), params


def exhaustive(
    queries: np.ndarray, vectors: np.ndarray, allowed: np.ndarray, depth: int
) -> IntArray:
    scores = np.where(allowed, queries @ vectors.T, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :depth]


def test_flat_finds_the_nearest(vectors: np.ndarray, queries: np.ndarray, tmp_path: Path) -> None:
    rows, path = 5_000, tmp_path / "vectors.faiss"
    params = build_faiss_index(rows, lambda rows: vectors[rows], path, IndexConfig(), None)
    assert params == {"kind": "flat"}
    index = FaissIndex.open(path, params, rows, lambda rows: vectors[rows])
    found, scores = index.search(queries, 200)
    expected = exhaustive(queries, vectors[:rows], np.ones(rows, bool), 200)
    assert overlap(found, expected) >= 0.999
    assert (np.diff(scores, axis=1) <= 0).all()
    assert scores[:, 0] == pytest.approx((queries @ vectors[:rows].T).max(1), abs=1e-5)


def test_ivf_reaches_the_target_recall(
    ivf: tuple[FaissIndex, dict[str, object]], vectors: np.ndarray, queries: np.ndarray
) -> None:
    index, params = ivf
    assert params["kind"] == "ivf"
    assert 1 < int(str(params["nprobe"])) < 128
    found, _ = index.search(queries, 100)
    recall = overlap(found, exhaustive(queries, vectors, np.ones(ROWS, bool), 100))
    assert recall >= 0.97
    assert recall == pytest.approx(params["recall"], abs=1e-3)


@pytest.mark.parametrize("fraction", [0.9, 0.6, 0.3, 0.02, 0.0002])
def test_filters_keep_the_recall(
    fraction: float, ivf: tuple[FaissIndex, dict[str, object]], vectors: np.ndarray,
    queries: np.ndarray,
) -> None:  # fmt: skip
    allowed = np.random.default_rng(2).random(ROWS) < fraction
    found, _ = ivf[0].search(queries, 100, allowed)
    depth = min(100, int(allowed.sum()))
    assert found.shape == (40, depth)
    assert (found >= 0).all()
    assert allowed[found].all()
    assert overlap(found, exhaustive(queries, vectors, allowed, depth)) >= 0.95


def test_a_filter_on_products_far_away_still_finds_them(
    ivf: tuple[FaissIndex, dict[str, object]], vectors: np.ndarray, queries: np.ndarray
) -> None:
    """The lists nearest to the query hold none of the allowed products."""
    allowed = np.zeros(ROWS, bool)
    allowed[exhaustive(-queries[:1], vectors, np.ones(ROWS, bool), 25_000)[0]] = True
    found, _ = ivf[0].search(queries[:1], 300, allowed)
    assert (found >= 0).all()
    assert allowed[found].all()
    assert overlap(found, exhaustive(queries[:1], vectors, allowed, 300)) >= 0.9


def test_fewer_products_than_requested(
    ivf: tuple[FaissIndex, dict[str, object]], queries: np.ndarray
) -> None:
    allowed = np.zeros(ROWS, bool)
    assert ivf[0].search(queries, 5, allowed)[0].shape == (40, 0)
    allowed[[7, 9]] = True
    assert sorted(ivf[0].search(queries[:1], 5, allowed)[0][0].tolist()) == [7, 9]
    assert ivf[0].search(queries[:0], 5)[0].shape[0] == 0


def test_exact_goes_through_blocks(
    vectors: np.ndarray, queries: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shopsight.search.retrievers.faiss._BLOCK", 1000)
    rows = np.arange(0, 9_999, 3)
    found, _ = exact(queries, rows, lambda rows: vectors[rows], 50)
    allowed = np.zeros(ROWS, bool)
    allowed[rows] = True
    assert overlap(found, exhaustive(queries, vectors, allowed, 50)) == 1.0


@pytest.mark.parametrize("content", [b"", b"IxSQ", b"\0" * 400, None])
def test_a_damaged_file_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "vectors.faiss"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"vectors\.faiss: missing or damaged"):
        FaissIndex.open(
            path, {"kind": "flat"}, 3, lambda rows: np.zeros((len(rows), 2), np.float32)
        )
