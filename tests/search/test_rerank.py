"""Re-ranking candidates gives the scores of ``shopsight rank``."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from shopsight.config import FusionConfig, IndexConfig
from shopsight.data.dataset import PreparedData
from shopsight.inference.ensemble import Ensemble
from shopsight.inference.ranker import Ranker
from shopsight.inference.run_folder import RunFolder
from shopsight.ranking.run import top_k
from shopsight.search.encoders import SearchModels
from shopsight.search.index import build_index
from shopsight.search.rerank import Ranked, candidate_pools, rerank_pools
from shopsight.search.searcher import Searcher
from shopsight.search.snapshot import Snapshot

MODELS = ("label-match", "word-match", "sentence-match", "dual", "cross")


def ranked(index: Path, data: PreparedData, split: str, only: str = "") -> Ranked:
    """Re-rank a split's candidate pools with the ensemble of an index, or with one model."""
    snapshot = Snapshot.current(index)
    models = SearchModels(index / "models", snapshot.models)
    if only:
        models.ensemble = Ensemble(only, {only: 1.0}, FusionConfig(), 0.0, 0.0)
    pools, table = data.pools(split), data.queries(split)
    texts = dict(zip(table.ids, table.texts, strict=True))
    codes = models.encode_queries(models.tokens([texts[q] for q in pools.query_ids]), models.names)
    pool_rows = [snapshot.rows_of(pools.of(query)) for query in pools.query_ids]
    own, rows = candidate_pools(snapshot, pool_rows)
    assert own.product_ids.tolist() == pools.product_ids.tolist()
    return rerank_pools(models, snapshot, codes, own, rows)


@pytest.mark.parametrize(
    ("name", "error"), [*((model, 1e-5) for model in MODELS), ("ensemble", 3e-3)]
)
def test_scores_are_those_of_rank(
    name: str, error: float, index: Path, mixed_run: RunFolder, shop_data: PreparedData
) -> None:
    expected = Ranker(mixed_run).rank(shop_data, "testA", name)
    result = ranked(index, shop_data, "testA", "" if name == "ensemble" else name)
    pairs = zip(result.run.pools.query_idx.tolist(), result.run.pools.product_ids, strict=True)
    scores = dict(zip(pairs, result.run.scores.tolist(), strict=True))
    expected_pairs = zip(expected.pools.query_idx.tolist(), expected.pools.product_ids, strict=True)
    assert [scores[pair] for pair in expected_pairs] == pytest.approx(
        expected.scores.tolist(), abs=error
    )
    assert len(scores) == 1200
    assert len(expected.scores) == (480 if name == "sentence-match" else 1200)
    # Normalised scores divide by the spread, which is small here and amplifies errors.
    assert sum(result.contributions.values()) == pytest.approx(result.run.scores, abs=1e-9)
    assert set(result.contributions) == (set(MODELS) if name == "ensemble" else {name})


@pytest.mark.parametrize(("precision", "least"), [("float16", 0.9), ("int8", 0.6)])
def test_smaller_number_formats_rank_similarly(
    precision: str, least: float, index: Path, mixed_run: RunFolder, shop_data: PreparedData,
    tmp_path: Path,
) -> None:  # fmt: skip
    config = IndexConfig(precision=precision, regions=False)
    build_index(mixed_run, shop_data, tmp_path / "index", config)
    exact, small = (ranked(path, shop_data, "testA").run for path in (index, tmp_path / "index"))
    best, near = top_k(exact, 5), top_k(small, 5)
    overlaps = [len(set(best[query]) & set(near[query])) / 5 for query in best]
    assert np.mean(overlaps) >= least
    size = [sum(f.stat().st_size for f in path.glob("segment-*/*.npy"))
            for path in (index, tmp_path / "index")]  # fmt: skip
    assert size[1] < size[0] / 1.8


def test_a_batch_equals_single_queries(index: Path, shop_data: PreparedData) -> None:
    searcher = Searcher.open(index)
    queries = shop_data.queries("valid").texts[:12]
    together = searcher.search_many(queries, 5, candidates=60)
    for query, results in zip(queries, together, strict=True):
        alone = searcher.search(query, 5, candidates=60)
        assert [hit.product_id for hit in alone.hits] == [hit.product_id for hit in results.hits]
        assert [hit.score for hit in alone.hits] == pytest.approx(
            [hit.score for hit in results.hits], abs=3e-3
        )


def test_an_exhaustive_search_ranks_every_product(index: Path) -> None:
    searcher = Searcher.open(index)
    count = searcher.info()["products"]
    results = searcher.search("red shoe", count, candidates=count)
    assert len(results.hits) == count == results.total
    scores = [hit.score for hit in results.hits]
    assert scores == sorted(scores, reverse=True)
    assert searcher.search("red shoe", 7, candidates=count).hits == results.hits[:7]


def test_without_reranking_scores_are_cosines(index: Path) -> None:
    searcher = Searcher.open(index)
    results = searcher.search("red shoe", 9, rerank=False)
    snapshot = Snapshot.current(index)
    cosines = snapshot.vectors(np.arange(len(snapshot))) @ searcher.query_vectors(["red shoe"])[0]
    order = np.argsort(-cosines, kind="stable")[:9]
    assert [hit.product_id for hit in results.hits] == snapshot.ids(order)
    assert [hit.score for hit in results.hits] == pytest.approx(cosines[order].tolist(), abs=1e-5)
    assert set(results.seconds) == {"encode", "retrieve"}


def test_a_run_without_ensemble_uses_its_last_model(
    mixed_run: RunFolder, shop_data: PreparedData, tmp_path: Path
) -> None:
    shutil.copytree(mixed_run.path, tmp_path / "run")
    for name in ("label-match", "word-match", "sentence-match", "cross", "fusion.json"):
        path = tmp_path / "run" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    build_index(RunFolder.read(tmp_path / "run"), shop_data, tmp_path / "index")
    searcher = Searcher.open(tmp_path / "index")
    results = searcher.search("red shoe", 5, explain=True)
    alone = searcher.search("red shoe", 5, rerank=False)
    assert [hit.product_id for hit in results.hits] == [hit.product_id for hit in alone.hits]
    assert results.hits[0].contributions == {"student": pytest.approx(results.hits[0].score)}
    assert [item.word for item in results.hits[0].explanation.words] == ["red", "shoe"]
    assert results.hits[0].explanation.boxes
