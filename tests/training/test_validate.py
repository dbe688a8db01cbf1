"""What is found before any work; further cases are in tests/cli/test_train.py."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from shopsight.cli.main import main
from shopsight.config.recipes import load_recipe
from shopsight.data.dataset import PreparedData
from shopsight.inference.load import load_model
from shopsight.inference.run_folder import RunFolder
from shopsight.prepare.kddcup.ingest import prepare_kddcup
from shopsight.training.validate import check


def train(data, recipe, out, *more: str) -> list[str]:
    command = ["train", str(data), "--recipe", str(recipe), "--out", str(out), "--threads", "1"]
    return [*command, *more]


def error_of(capsys, command: list[str]) -> str:
    assert main(command) == 2
    return capsys.readouterr().err


@pytest.fixture(scope="module")
def few_candidates(small_world, tmp_path_factory) -> Path:
    """Data whose first test query has three candidates."""
    raw = tmp_path_factory.mktemp("few") / "raw"
    shutil.copytree(small_world, raw)
    path = raw / "testA" / "testA.tsv"
    header, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    query = rows[0].rstrip("\n").rpartition("\t")[2]
    own = [row for row in rows if row.rstrip("\n").rpartition("\t")[2] == query]
    others = [row for row in rows if row not in own]
    path.write_text("".join([header, *own[:3], *others]), encoding="utf-8")
    return prepare_kddcup(raw, raw.parent / "data").path


def test_small_pools_leave_out_the_submission_and_nothing_else(
    few_candidates, quick_recipe, tmp_path, capsys
):
    command = train(few_candidates, quick_recipe, tmp_path / "run", "--stages", "dual")
    assert main([*command, "--dry-run", "--json"]) == 0
    note = json.loads(capsys.readouterr().out)["note"]
    assert "testA: no submission, for which every query needs 5 candidates" in note
    assert main(command) == 0
    output = capsys.readouterr().out
    assert output.count("no submission") == 2  # at the start and where it would be written
    assert "has 3 distinct products, a submission needs 5" in output
    assert (tmp_path / "run" / "report.html").is_file()
    assert (tmp_path / "run" / "runs" / "testA-dual.json").is_file()
    assert not (tmp_path / "run" / "submissions" / "testA.csv").exists()
    assert main([*command, "--resume", "--quiet"]) == 0


def test_enough_candidates_need_no_note(small_data, quick_recipe, tmp_path):
    assert check(PreparedData.open(small_data), load_recipe(quick_recipe), ["dual"], tmp_path) == []


def test_damaged_weights_are_found_before_the_query_groups(
    trained, small_data, quick_recipe, tmp_path, capsys
):
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    for name in ("word-match", "negatives"):
        shutil.rmtree(folder / name)
    (folder / "label-match" / "best.safetensors").write_bytes(b"cut")
    command = train(small_data, quick_recipe, folder, "--resume")
    assert "label-match/best.safetensors: damaged" in error_of(capsys, command)
    (folder / "label-match" / "best.safetensors").unlink()
    assert "label-match/best.safetensors: no such file" in error_of(capsys, command)
    assert not (folder / "negatives").exists()


def test_published_vectors_of_other_words_are_found_before_any_work(
    small_data, quick_recipe, tmp_path, capsys
):
    bert = make_bert(tmp_path / "bert", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "nothing", "alike"])
    out = tmp_path / "run"
    change = ["--set", f"words.source={bert}"]
    message = error_of(capsys, train(small_data, quick_recipe, out, *change))
    assert f"{bert}: has vectors for 0 of the vocabulary's" in message
    assert f"--tokenizer {bert}" in message
    assert not out.exists()
    assert "no such folder" in error_of(
        capsys, train(small_data, quick_recipe, out, "--set", "words.source=/not/there")
    )
    assert not out.exists()


def test_published_vectors_are_trained_with_by_text(small_data, quick_recipe, tmp_path, capsys):
    vocabulary = PreparedData.open(small_data).vocabulary()
    # The words in reverse, among words of its own: no token has the id that it has here.
    own = [*vocabulary.tokens[:3:-1], "unrelated", "[SEP]", "[UNK]", "[PAD]", "[CLS]"]
    bert, out = make_bert(tmp_path / "bert", own), tmp_path / "run"
    change = ["--stages", "label-match", "--set", f"words.source={bert}"]
    assert main(train(small_data, quick_recipe, out, *change)) == 0
    assert f"tokens have vectors of {bert}, 0 of them the mean" in capsys.readouterr().out
    from transformers import AutoModel

    published = AutoModel.from_pretrained(bert).get_input_embeddings().weight.detach()
    table = load_model(RunFolder.read(out), "label-match").words.table
    for i, token in enumerate(vocabulary.tokens):
        assert torch.equal(table[i], published[own.index(token)]), token


def make_bert(folder: Path, tokens: list[str]) -> Path:
    """A tiny BERT with its tokenizer, saved."""
    transformers = pytest.importorskip("transformers")
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.BertConfig(vocab_size=len(tokens), intermediate_size=4, **shape)
    transformers.BertModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(tokens), encoding="utf-8")
    return folder
