"""The teacher's candidates and scores, against ranking query by query."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopsight.batches.click_dataset import ClickedPairs
from shopsight.config import CandidatesConfig
from shopsight.data.dataset import PreparedData
from shopsight.inference.ranker import Ranker
from shopsight.inference.run_folder import RunFolder
from shopsight.negatives.groups import query_groups
from shopsight.training import teacher as teaching
from shopsight.training.teacher import Teacher
from shopsight.types import Pools

CONFIG = CandidatesConfig(
    ("label-match", "dual"), clicked=2, nearest=6, near=3, near_depth=20, random=4, made=0.2
)
silent = print


@pytest.fixture(scope="module")
def data(small_data: Path) -> PreparedData:
    return PreparedData.open(small_data)


@pytest.fixture(scope="module")
def teacher(trained: tuple[Path, str], data: PreparedData) -> Teacher:
    ranker = Ranker(RunFolder.read(trained[0]))
    recipe = ranker.folder.recipe
    groups = query_groups(data, recipe.negatives, recipe.seed, trained[0] / "negatives")
    pairs = ClickedPairs.of(data, ranker.vocabulary, groups)
    return Teacher(ranker, data, pairs, CONFIG, 7)


@pytest.fixture(scope="module")
def folder(teacher: Teacher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher") / "cache"
    teacher.build(folder, silent)
    return folder


def texts_of(teacher: Teacher) -> list[str]:
    table = teacher.data.queries("train")
    queries = teacher.pairs.groups.query[np.unique(teacher.pairs.texts)]
    return [table.texts[query] for query in queries]


def test_candidates_are_clicked_near_and_random_products(teacher: Teacher, folder: Path) -> None:
    table, pairs, ranker = teacher.load(folder), teacher.pairs, teacher.ranker
    real = texts_of(teacher)
    assert len(table) == round(1.2 * len(real))
    known = set(pairs.products.tolist())
    ids = [teacher.data.products[product] for product in sorted(known)]
    vectors = ranker.encode_products(teacher.data, ids)
    for row, text in enumerate(real):
        products = [product for product in table.products[row].tolist() if product >= 0]
        assert len(products) == len(set(products)) >= 9
        assert set(products) <= known
        clicks = set(pairs.products[pairs.texts == np.unique(pairs.texts)[row]].tolist())
        assert len(clicks & set(products)) >= min(2, len(clicks))
        marked = table.products[row][table.clicked[row]].tolist()
        assert set(marked) == clicks & set(products)
        if row % 50 == 0:
            order = (vectors @ ranker.encode_queries([text])[0]).argsort()[::-1]
            nearest = np.array(sorted(known))[order]
            assert set(nearest[:6].tolist()) <= set(products)
            assert len(set(nearest[6:26].tolist()) & set(products)) >= 3
    assert not table.clicked[len(real) :].any()
    assert not table.clicked[table.products < 0].any()


def test_scores_are_those_of_the_ensemble_query_by_query(teacher: Teacher, folder: Path) -> None:
    table, texts = teacher.load(folder), texts_of(teacher)
    ensemble = teacher.ensemble()
    for row in range(0, len(texts), 40):
        real = table.products[row] >= 0
        ids = [teacher.data.products[product] for product in table.products[row][real]]
        pools = Pools.from_dict({"q": ids})
        scores = np.zeros(len(ids))
        for name, weight in ensemble.weights.items():
            own = teacher.ranker.score(teacher.data, pools, {"q": texts[row]}, name).scores
            scores += weight * (own - own.mean()) / own.std()
        expected = (scores - scores.mean()) / scores.std()
        # float32 scores of a few hundred steps: their spread is small beside their rounding
        assert table.teacher[row][real] == pytest.approx(expected, abs=2e-3)
        assert (table.teacher[row][~real] == 0).all()


def test_a_killed_build_goes_on_with_the_missing_chunks(
    teacher: Teacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teaching, "_CHUNK", 150)
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    teacher.build(whole, silent)
    teacher.build(resumed, silent)
    scores = sorted(resumed.glob("scores-*.npy"))
    assert len(scores) >= 3
    kept = scores[0].stat().st_mtime_ns
    scores[1].unlink()
    teacher.build(resumed, silent)
    assert scores[0].stat().st_mtime_ns == kept
    first, second = teacher.load(whole), teacher.load(resumed)
    assert np.array_equal(first.products, second.products)
    assert np.array_equal(first.teacher, second.teacher)


def test_a_single_teacher_is_its_own_ensemble(
    teacher: Teacher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = CandidatesConfig(("dual",), clicked=1, nearest=4, near=0, random=0)
    alone = Teacher(teacher.ranker, teacher.data, teacher.pairs, config, 7)
    alone.build(tmp_path, silent)
    assert "1.00 dual" in capsys.readouterr().out
    table = alone.load(tmp_path)
    assert table.products.shape[1] == 5
    # The nearest products by the dual encoder come in the order of its scores.
    untouched = ~table.clicked.any(1) & (table.products >= 0).all(1)
    assert (np.diff(table.teacher[untouched][:, :4], axis=1) <= 1e-5).all()
