from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from shopsight.data.dataset import PreparedData
from shopsight.errors import UsageError
from shopsight.inference.load import load_model
from shopsight.inference.run_folder import RunFolder
from shopsight.models.registry import model_specs
from shopsight.prepare.kddcup.ingest import prepare_kddcup
from shopsight.training.session import TrainingSession
from training.launching import launch
from training.stage_process import small_recipe

SCRIPT = Path(__file__).with_name("stage_process.py")
# Without those that need files of photos.
MODELS = [spec.name for spec in model_specs() if not spec.needs]
FOLDERS = (*MODELS, "dual/phase-1")


@pytest.fixture(scope="module")
def data(small_world, tmp_path_factory) -> PreparedData:
    return prepare_kddcup(small_world, tmp_path_factory.mktemp("data") / "data")


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory) -> RunFolder:
    """All stages, trained by one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    done = launch(SCRIPT, 1, data.path, folder)
    assert done.returncode == 0, done.stderr
    return RunFolder.read(folder)


def numbers(line: dict) -> dict[str, float]:
    """What a line of metrics says, without what depends on the clock."""
    flat = {**line.get("parts", {}), **line, "kind": len(line["kind"])}
    return {key: value for key, value in flat.items() if key not in ("parts", "pairs_per_second")}


def assert_same_stage(first: RunFolder, second: RunFolder, stage: str, tolerance: float) -> None:
    """Equal metrics, line by line, and equal best weights."""
    expected, actual = (run.stage(stage).metrics() for run in (first, second))
    assert len(actual) == len(expected) >= 5
    assert [numbers(line) for line in actual] == [
        pytest.approx(numbers(line), rel=tolerance, abs=tolerance) for line in expected
    ]
    weights = [load_file(run.stage(stage).best) for run in (first, second)]
    assert weights[0].keys() == weights[1].keys()
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
def test_two_processes_equal_one_in_every_stage(data, alone, tmp_path):
    done = launch(SCRIPT, 2, data.path, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    both = RunFolder.read(tmp_path / "run")
    for stage in FOLDERS:
        assert_same_stage(alone, both, stage, tolerance=1e-6)


@pytest.mark.slow
def test_kill_9_in_each_stage_and_resume(data, alone, tmp_path):
    folder = tmp_path / "run"
    for stage in MODELS:
        killed = launch(SCRIPT, 1, data.path, folder, f"die={stage}:5")
        assert killed.returncode == -9, killed.stderr
        assert RunFolder.read(folder).stage(stage).done() is None
    done = launch(SCRIPT, 1, data.path, folder)
    assert done.returncode == 0, done.stderr
    resumed = RunFolder.read(folder)
    for stage in FOLDERS:
        assert_same_stage(alone, resumed, stage, tolerance=0)


@pytest.mark.slow
def test_two_processes_resume_on_both(data, alone, tmp_path):
    folder = tmp_path / "run"
    killed = launch(SCRIPT, 2, data.path, folder, "die=word-match:5")
    assert killed.returncode != 0
    done = launch(SCRIPT, 2, data.path, folder)
    assert done.returncode == 0, done.stderr
    for stage in FOLDERS:
        assert_same_stage(alone, RunFolder.read(folder), stage, tolerance=1e-6)


@pytest.mark.slow
def test_every_stage_learns_and_comes_back_from_its_file(data, alone):
    session = TrainingSession(data, alone)
    torch.set_default_dtype(torch.float64)
    try:
        for stage in MODELS:
            folder = "dual/phase-1" if stage == "dual" else stage  # like batches are harder
            lines = [line for line in alone.stage(folder).metrics() if line["kind"] == "train"]
            first, second = ([x["loss"] for x in lines if x["epoch"] == n] for n in (1, 2))
            assert sum(second) / len(second) < sum(first) / len(first)
            model = load_model(alone, stage)
            assert not model.training
            best = alone.stage(stage).done()["best"]
            assert session.validate(model, data.store) == pytest.approx(best, abs=2e-3)
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_stage_that_builds_on_pretraining_asks_for_it(data, tmp_path):
    recipe = small_recipe()
    run = RunFolder.open(tmp_path / "run", recipe, data)
    with pytest.raises(UsageError, match="word-match starts from the weights of label-match"):
        TrainingSession(data, run).train_stage("word-match")


def test_shared_vectors_are_those_of_label_match(data, tmp_path):
    one_epoch = {"train": {"epochs": 1}}
    shared = {"vectors": "shared", "towers": 2, "phase2_epochs": 0, **one_epoch}
    recipe = small_recipe(label_match=one_epoch, dual=shared)
    session = TrainingSession(data, RunFolder.open(tmp_path / "run", recipe, data))
    tables = {}
    for stage in ("label-match", "dual"):
        session.train_stage(stage)
        weights = load_file(session.folder.stage(stage).best)
        tables |= {name: table for name, table in weights.items() if name.endswith("table")}
    assert len(tables) == 3
    for table in tables.values():
        assert torch.equal(table, tables["model.words.table"])


@pytest.mark.parametrize(
    ("stage", "changes", "parts"),
    [
        ("label-match", {"caption_weight": 0.0, "labels": "product"}, {"labels"}),
        ("label-match", {"word_drop": 0.2}, {"labels", "caption"}),
        ("word_match", {"pretrained": False, "word_drop": 0.2}, {"product", "query", "hardest"}),
        (
            "word_match",
            {"pretrained": False, "hardest": False, "uniform_weights": True, "negatives": "random"},
            {"product", "query"},
        ),
        (
            "word_match",
            {"pretrained": False, "loss": "softmax", "false_negatives": "subset"},
            {"softmax"},
        ),
        (
            "word_match",
            {"pretrained": False, "cache_trunk": False, "train_trunk": True, "train_words": True},
            {"product", "query", "hardest"},
        ),
        (
            "sentence_match",
            {"pretrained": False, "cache_trunk": False, "trunk_dropout": True, "word_drop": 0.1},
            {"pairs"},
        ),
        ("label-match", {"loss": "softmax"}, {"labels", "caption"}),
        ("word-head", {"hidden": 8}, {"words"}),
        ("dual", {"phase2_epochs": 0, "learn_scale": True, "word_drop": 0.1}, {"softmax"}),
        ("dual", {"phase2_epochs": 0, "false_negatives": "duplicates"}, {"softmax"}),
    ],
)
def test_every_switch_trains(data, tmp_path, stage, changes, parts):
    recipe = small_recipe(**{stage: {**changes, "train": {"epochs": 1}}})
    run = RunFolder.open(tmp_path / "run", recipe, data)
    name = stage.replace("_", "-")
    outcome = TrainingSession(data, run).train_stage(name)
    lines = [line for line in run.stage(name).metrics() if line["kind"] == "train"]
    assert outcome.steps == len(lines) > 3
    assert all(line["parts"].keys() == parts for line in lines)
    assert all(math.isfinite(line["loss"]) for line in lines)


@pytest.mark.parametrize("stage", ["word_match", "sentence_match"])
def test_a_cached_trunk_gives_the_same_training(data, tmp_path, stage):
    actual = []
    for cached in (False, True):
        settings = {"cache_trunk": cached, "pretrained": False}
        recipe = small_recipe(**{stage: settings})
        run = RunFolder.open(tmp_path / str(cached), recipe, data)
        name = stage.replace("_", "-")
        TrainingSession(data, run).train_stage(name)
        actual.append([x["loss"] for x in run.stage(name).metrics() if x["kind"] == "train"])
        assert (run.path / "cache").exists() == cached
    assert actual[0] == pytest.approx(actual[1], rel=1e-3)  # float16 on the way
    assert actual[0] != actual[1]
