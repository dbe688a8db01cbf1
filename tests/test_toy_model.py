"""A registered model is trained, resumed, reused, ranked, indexed and explained like any other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import shopsight as ss
from shopsight.cli.main import main
from shopsight.config.recipe import EXTRA_MODELS
from shopsight.config.recipes import load_recipe
from shopsight.errors import UsageError
from shopsight.inference.run_folder import RunFolder
from shopsight.models import registry
from toymodel import ToyConfig, toy_spec

RECIPE = """
models: {toy: {width: 8, train: {epochs: 2, batch: 32, lr: 1e-2, workers: 0}}}
dual:
  width: 16
  out: 16
  text_layers: 0
  image_layers: 0
  phase2_epochs: 0
  train: {epochs: 1, batch: 32, workers: 0}
threads: 1
"""


@pytest.fixture(scope="module")
def toy() -> Iterator[None]:
    """The toy model, registered for the tests of this module only."""
    registry.register(toy_spec())
    yield
    del registry._SPECS["toy"], EXTRA_MODELS["toy"]


@pytest.fixture(scope="module")
def recipe(toy: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("toy") / "toy.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def run(small_data: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy and the dual encoder, trained from the command line."""
    folder = tmp_path_factory.mktemp("toy") / "run"
    arguments = ["train", str(small_data), "--recipe", str(recipe), "--out", str(folder)]
    assert main([*arguments, "--stages", "toy", "dual", "--quiet"]) == 0
    return folder


def test_a_name_is_registered_once(toy: None) -> None:
    registry.register(toy_spec())
    with pytest.raises(UsageError, match="a model named 'toy' is registered already"):
        registry.register(toy_spec(description="another one"))
    with pytest.raises(UsageError, match=r"unknown model 'toi'; did you mean 'toy'\?"):
        registry.model_spec("toi")


def test_the_recipe_holds_its_settings(recipe: Path) -> None:
    loaded = load_recipe(recipe, ["models.toy.width=6"])
    assert loaded.model("toy") == ToyConfig(loaded.model("toy").train, width=6)
    with pytest.raises(
        UsageError, match=r"'models\.toy\.widht'; did you mean 'models\.toy\.width'\?"
    ):
        load_recipe(recipe, ["models.toy.widht=6"])
    with pytest.raises(UsageError, match=r"unknown recipe key 'models\.other'"):
        load_recipe(recipe, ["models.other.width=6"])


def test_it_ranks(run: Path, small_data: Path) -> None:
    ranker, data = ss.open_ranker(run), ss.load(small_data)
    assert {"toy", "dual"} <= set(ranker.models)
    ranked = ranker.rank(data, "valid", "toy").to_dict()
    vectors = ranker.encode_products(data, model="toy")
    queries = ranker.encode_queries(data.queries("valid").texts, "toy")
    assert vectors.shape == (len(data.products), 8)
    row = {product: index for index, product in enumerate(data.products)}
    for query, scores in ranked.items():
        products = vectors[[row[product] for product in scores]]
        expected = products @ queries[data.queries("valid").ids.index(query)]
        np.testing.assert_allclose(list(scores.values()), expected, atol=1e-5)


def test_the_report_describes_it(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert "<h3>toy</h3>" in page
    assert "a bag of words against the mean region" in page


def test_a_finished_stage_is_kept_and_reused(
    run: Path, small_data: Path, recipe: Path, tmp_path: Path
) -> None:
    before = (run / "toy" / "best.safetensors").read_bytes()
    ss.train(small_data, recipe, run, stages=["toy"], resume=True)
    ss.train(small_data, recipe, tmp_path / "run", stages=["toy"], reuse=(run,))
    reused = json.loads((tmp_path / "run" / "toy" / "done.json").read_text())
    assert reused == json.loads((run / "toy" / "done.json").read_text())
    assert (tmp_path / "run" / "toy" / "best.safetensors").read_bytes() == before
    with pytest.raises(UsageError, match=r"models\.toy\.width"):
        ss.train(small_data, recipe, run, ["models.toy.width=6"], stages=["toy"], resume=True)


def test_its_training_is_repeatable(
    run: Path, small_data: Path, recipe: Path, tmp_path: Path
) -> None:
    ss.train(small_data, recipe, tmp_path / "run", stages=["toy"])
    weights = [folder / "toy" / "best.safetensors" for folder in (run, tmp_path / "run")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_an_index_stores_and_explains_it(run: Path, small_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    data = ss.load(small_data)
    with ss.open_ranker(run).build_index(data, tmp_path / "index") as index:
        assert list((tmp_path / "index").rglob("toy.vectors.npy"))
        text = data.queries("valid").texts[0]
        hits = list(index.search(text, k=3, explain=True))
    assert len(hits) == 3
    for hit in hits:
        weights = [word.weight for word in hit.explanation.words]
        assert sum(weights) == pytest.approx(1)


def test_without_it_the_other_models_of_its_run_can_be_used(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(registry._SPECS, "toy")
    monkeypatch.delitem(EXTRA_MODELS, "toy")
    assert RunFolder.read(run).recipe.models == {}
    assert ss.open_ranker(run).models[:1] == ["dual"]
