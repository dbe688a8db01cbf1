import json
from dataclasses import replace

import pytest

from shopsight.config import DualConfig, Recipe, WordMatchConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import DataError, OutputError, UsageError
from shopsight.inference.run_folder import MetricsLog, RunFolder, StageFolder
from shopsight.prepare.kddcup.ingest import prepare_kddcup
from shopsight.text.normalise import words


@pytest.fixture(scope="module")
def data(small_world, tmp_path_factory) -> PreparedData:
    return prepare_kddcup(small_world, tmp_path_factory.mktemp("data") / "data")


def test_a_run_remembers_its_recipe_and_vocabulary(tmp_path, data):
    recipe = Recipe(seed=7, word_match=WordMatchConfig(margin=0.3))
    RunFolder.open(tmp_path / "run", recipe, data)
    again = RunFolder.read(tmp_path / "run")
    assert again.recipe == recipe
    assert again.vocabulary().tokens == data.vocabulary().tokens
    assert again.manifest["feature_width"] == 16
    assert RunFolder.open(tmp_path / "run", recipe, data).manifest == again.manifest


def test_a_run_keeps_the_words_of_its_training_queries(tmp_path, data):
    run = RunFolder.open(tmp_path / "run", Recipe(), data)
    texts = data.queries("train").texts
    assert json.loads((run.path / "words.json").read_bytes()) == sorted(set(words(" ".join(texts))))
    assert sorted(json.loads((run.path / "queries.json").read_bytes())) == sorted(texts)[:1000]


def test_a_changed_recipe_raises_with_its_key(tmp_path, data):
    RunFolder.open(tmp_path, Recipe(), data)
    changed = Recipe(word_match=WordMatchConfig(margin=0.3))
    with pytest.raises(UsageError, match=r"word_match.margin was 0.9 and is now 0.3"):
        RunFolder.open(tmp_path, changed, data)


def test_settings_that_change_no_result_may_change(tmp_path, data):
    RunFolder.open(tmp_path, Recipe(), data)
    word_match = WordMatchConfig()
    train = replace(word_match.train, workers=3, keep=9, checkpoint_steps=10)
    changed = Recipe(word_match=replace(word_match, train=train))
    assert RunFolder.open(tmp_path, changed, data).recipe == Recipe()


def test_settings_of_a_later_version_were_at_their_defaults(tmp_path, data):
    run = RunFolder.open(tmp_path, Recipe(), data)
    del run.manifest["recipe"]["dual"]["towers"]
    (tmp_path / "run.json").write_text(json.dumps(run.manifest))
    assert RunFolder.open(tmp_path, Recipe(), data).recipe == Recipe()
    with pytest.raises(UsageError, match=r"dual.towers was 1 and is now 2"):
        RunFolder.open(tmp_path, Recipe(dual=DualConfig(towers=2)), data)


def test_changed_data_raise_with_their_file(tmp_path, data):
    RunFolder.open(tmp_path, Recipe(), data)
    summary = json.loads(json.dumps(data.manifest))
    summary["files"]["boxes.npy"]["sha256"] = "other"
    with pytest.raises(DataError, match=r"other data \(.*boxes.npy changed\); use the same data"):
        RunFolder.open(tmp_path, Recipe(), PreparedData(data.path, summary))


def test_a_folder_with_other_content_raises(tmp_path, data):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"not a run folder, but it holds thesis.txt"):
        RunFolder.open(tmp_path, Recipe(), data)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "not a run folder"),
        ("{", "not readable as JSON"),
        ('{"format": "shopsight run folder", "version": 1}', "format version 1, not 2"),
        ('{"format": "shopsight run folder", "version": 2}', "'files' is missing"),
        ('{"format": "x", "recipe": {}, "files": {}}', "not a run folder"),
    ],
)
def test_reading_something_else_raises(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataError, match=sentence):
        RunFolder.read(tmp_path)


def test_a_stage_clears_what_was_half_written(tmp_path):
    stage = StageFolder(tmp_path / "dual", "dual")
    stage.begin()
    (stage.path / ".checkpoint-00000001.safetensors.tmp").write_bytes(b"half")
    stage.checkpoint(12).write_bytes(b"")
    stage.checkpoint(3).write_bytes(b"")
    stage.begin()
    assert sorted(path.name for path in stage.path.iterdir()) == [
        "checkpoint-00000003.safetensors",
        "checkpoint-00000012.safetensors",
    ]
    stage.keep_last(1)
    assert stage.checkpoints() == [stage.checkpoint(12)]
    assert stage.phase(1).path == stage.path / "phase-1"


def test_done_says_what_it_was_told(tmp_path):
    stage = StageFolder(tmp_path, "dual")
    assert stage.done() is None
    stage.finish({"best": 0.5})
    assert stage.done() == {"best": 0.5}
    (tmp_path / "done.json").write_text("{")
    with pytest.raises(DataError, match=r"done.json: damaged; delete it to finish the stage again"):
        stage.done()


def test_metrics_are_cut_back_and_read_without_the_torn_line(tmp_path):
    stage = StageFolder(tmp_path, "dual")
    log = stage.log
    log.append({"step": 1})
    size = log.size()
    log.append({"step": 2})
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": ')
    assert [line["step"] for line in stage.metrics()] == [1, 2]
    log.truncate(size)
    log.truncate(10**6)
    assert [line["step"] for line in stage.metrics()] == [1]


def test_a_full_disk_stops_the_log_with_a_sentence(tmp_path):
    full = MetricsLog(tmp_path / "metrics.jsonl")
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"metrics.jsonl: cannot write, no space left on device"):
        full.append({"step": 1})
