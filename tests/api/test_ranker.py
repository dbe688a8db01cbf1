"""A trained run folder through the front door."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import shopsight as ss
from shopsight.formats.runs import read_run


@pytest.fixture(scope="module")
def ranker(trained: tuple[Path, str]) -> ss.Ranker:
    return ss.open_ranker(trained[0], device="cpu")


def test_rank_equals_the_run_of_training(ranker: ss.Ranker, small_data: Path) -> None:
    for model in ("ensemble", "dual"):
        run = ranker.rank(small_data, "valid", model)
        assert isinstance(run, ss.Run)
        kept = read_run(ranker.path / "runs" / f"valid-{model}.json").to_dict()
        assert run.to_dict().keys() == kept.keys()
        for query, scores in run.to_dict().items():
            assert scores == pytest.approx(kept[query], rel=1e-5, abs=1e-6)
    with pytest.raises(ss.ShopsightError, match="unknown model"):
        ranker.rank(small_data, "valid", "dula")


def test_embeddings_rank_as_the_dual_encoder(ranker: ss.Ranker, small_data: Path) -> None:
    data = ss.load(small_data)
    queries = data.queries("valid")
    run = ranker.rank(data, "valid", "dual")
    vectors = ranker.encode_queries(queries.texts)
    products = ranker.encode_products(data)
    assert vectors.dtype == products.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), np.linalg.norm(vectors[0]))
    row = {product: i for i, product in enumerate(data.products)}
    query, scores = next(iter(run.to_dict().items()))
    cosines = products[[row[p] for p in scores]] @ vectors[queries.ids.index(query)]
    order = np.argsort(-cosines, kind="stable")
    np.testing.assert_allclose(cosines[order], cosines, atol=1e-5)
    some = ranker.encode_products(data, data.products[3:5])
    np.testing.assert_allclose(some, products[3:5], atol=1e-5)
    with pytest.raises(ss.ShopsightError, match="word-match"):
        ranker.encode_queries(["x"], "word-match")


def test_describe(ranker: ss.Ranker, small_data: Path) -> None:
    result = ranker.describe(small_data, ss.load(small_data).products[:2], tags=3)
    assert len(result.records()) == 2
    assert all(len(product["tags"]) <= 3 for product in result.to_dict().values())
    assert repr(result) == "Descriptions(2 products)"


def test_report_and_repr(ranker: ss.Ranker) -> None:
    assert ranker.report.is_file()
    assert "dual" in repr(ranker)
    assert ranker.results is None


def test_k_reciprocal_reranking(
    ranker: ss.Ranker, small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every query keeps its pool; with the run's own scores alone, also its order."""
    from shopsight.cli.main import main

    run = ranker.path / "runs" / "valid-dual.json"
    options = ["--k-reciprocal", str(ranker.path), "--data", str(small_data)]
    out = tmp_path / "out.json"
    assert main(["rerank", str(run), *options, "--out", str(out)]) == 0
    before, after = read_run(run).to_dict(), read_run(out).to_dict()
    assert {q: sorted(row) for q, row in after.items()} == {q: sorted(before[q]) for q in before}
    assert after != before
    assert all(0 <= score <= 1 for row in after.values() for score in row.values())
    assert main(["rerank", str(run), *options, "--own-weight", "1", "--out", str(out)]) == 0
    again = read_run(out).to_dict()
    assert [list(row) for row in again.values()] == [list(row) for row in before.values()]

    capsys.readouterr()
    for wrong, message in (
        (["--exclusive", *options], "name one re-ranking method"),
        (options[:2], "--k-reciprocal needs --data"),
        ([*options, "--margin", "1"], "takes no --margin"),
        ([*options, "--k1", "0"], "k1 must be at least 1"),
    ):
        assert main(["rerank", str(run), *wrong, "--out", str(out)]) == 2
        assert message in capsys.readouterr().err
    (tmp_path / "other.json").write_text('{"unknown": {"a": 1}}')
    assert main(["rerank", str(tmp_path / "other.json"), *options, "--out", str(out)]) == 2
    assert "no query 'unknown' of other" in capsys.readouterr().err
