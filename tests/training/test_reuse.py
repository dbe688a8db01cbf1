from dataclasses import replace
from pathlib import Path

import pytest

from shopsight.config import (
    DualConfig,
    EncoderConfig,
    LabelMatchConfig,
    Recipe,
    WordHeadConfig,
    WordMatchConfig,
    WordVectorsConfig,
)
from shopsight.data.dataset import PreparedData
from shopsight.errors import DataError
from shopsight.inference.run_folder import RunFolder
from shopsight.prepare.kddcup.ingest import prepare_kddcup
from shopsight.training.reuse import take_over

OTHERS = ["word-head", "dual"]
ALL = ["word-head", "label-match", "word-match", "sentence-match", "dual"]
CHANGES = [
    ({}, ALL),
    ({"seed": 1}, []),
    ({"threads": 5}, ALL),
    ({"fusion": None}, ALL),
    (
        {"word_match": WordMatchConfig(margin=0.1)},
        ["word-head", "label-match", "sentence-match", "dual"],
    ),
    ({"label_match": LabelMatchConfig(caption_weight=0.5)}, OTHERS),
    ({"encoder": EncoderConfig(label_heads=1)}, OTHERS),
    ({"words": WordVectorsConfig(width=64)}, OTHERS),
    ({"words": WordVectorsConfig(merge_plurals=True)}, []),
    ({"dual": DualConfig(width=64)}, ALL[:-1]),
    ({"word_head": WordHeadConfig(hidden=64)}, ALL[1:]),
]


@pytest.fixture(scope="module")
def data(small_world, tmp_path_factory) -> PreparedData:
    return prepare_kddcup(small_world, tmp_path_factory.mktemp("data") / "data")


@pytest.fixture
def trained(data, tmp_path) -> RunFolder:
    """A run whose stages are finished; what was trained is beside the point."""
    run = RunFolder.open(tmp_path / "trained", Recipe(), data)
    for folder in (*map(run.stage, ALL), run.stage("dual").phase(1)):
        folder.begin()
        folder.best.write_text(f"weights of {folder.name}")
        folder.checkpoint(3).write_text("for going on")
        folder.log.append({"kind": "train"})
        folder.finish({"best": 0.5})
    return run


def without_nones(change: dict) -> dict:
    fusion = replace(Recipe().fusion, normalise="rank")
    return {key: fusion if value is None else value for key, value in change.items()}


@pytest.mark.parametrize(("change", "same"), CHANGES)
def test_stages_are_taken_over_where_all_that_decides_them_is_the_same(
    data, trained, tmp_path, change, same
):
    recipe = replace(Recipe(), **without_nones(change))
    run = RunFolder.open(tmp_path / "run", recipe, data)
    assert take_over(run, trained) == same
    for stage in ALL:
        assert (run.stage(stage).done() is not None) == (stage in same)


def test_weights_and_metrics_come_along_but_no_checkpoints(data, trained, tmp_path):
    run = RunFolder.open(tmp_path / "run", Recipe(), data)
    take_over(run, trained)
    for folder in (run.stage("dual"), run.stage("dual").phase(1)):
        assert folder.best.read_text() == f"weights of {folder.name}"
        assert folder.metrics() == [{"kind": "train"}]
        assert folder.checkpoints() == []


def test_a_matching_stage_without_pretraining_does_not_depend_on_it(data, trained, tmp_path):
    alone = replace(Recipe(), word_match=WordMatchConfig(pretrained=False))
    first = RunFolder.open(tmp_path / "first", alone, data)
    stage = first.stage("word-match")
    stage.begin()
    for path in (stage.best, stage.path / "metrics.jsonl"):
        path.touch()
    stage.finish({})
    other = replace(alone, label_match=LabelMatchConfig(caption_weight=0.5))
    assert take_over(RunFolder.open(tmp_path / "run", other, data), first) == ["word-match"]


def test_a_stage_that_was_begun_is_left_alone(data, trained, tmp_path):
    run = RunFolder.open(tmp_path / "run", Recipe(), data)
    run.stage("dual").begin()
    assert take_over(run, trained) == ALL[:4]
    assert not run.stage("dual").best.exists()


def test_another_catalogue_raises(data, trained, tmp_path):
    run = RunFolder.open(tmp_path / "run", Recipe(), data)
    trained.manifest["files"] = {"boxes.npy": "other"}
    with pytest.raises(DataError, match="trained on other data"):
        take_over(run, trained)


def test_a_stage_without_its_weights_leaves_nothing_behind(data, trained, tmp_path):
    trained.stage("label-match").best.unlink()
    run = RunFolder.open(tmp_path / "run", Recipe(), data)
    with pytest.raises(DataError, match=r"best.safetensors: missing; the stage cannot"):
        take_over(run, trained)
    left: list[Path] = [path for path in run.path.iterdir() if "label-match" in path.name]
    assert left == []
