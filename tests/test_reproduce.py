"""``scripts/reproduce.sh``: its commands for every recipe, and the whole of it once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shopsight.config.recipes import load_recipe, recipe_names

WHOLE = """
words: {{source: {bert}}}
encoder: {{attention_heads: 2, feedforward: 16, weight_hidden: 8, embed_hidden: 16}}
label_match: {{hardest_negatives: 20, train: {{epochs: 1, batch: 64}}}}
word_match: {{gru_hidden: 8, match_hidden: 8, train: {{epochs: 1, batch: 64}}}}
sentence_match: {{train: {{epochs: 1, batch: 64}}}}
dual: {{width: 16, out: 16, phase2_epochs: 0, train: {{epochs: 1, batch: 64}}}}
threads: 1
"""


def run(repository: Path, bin_folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    path = f"{bin_folder}:{os.environ['PATH']}"
    command = ["bash", repository / "scripts" / "reproduce.sh", *arguments]
    return subprocess.run(
        command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )


def program(folder: Path, name: str, body: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("recipe", recipe_names())
def test_its_commands_fit_the_recipe(repository, tmp_path, recipe):
    folder, log = tmp_path / "bin", tmp_path / "log"
    program(folder, "shopsight", f'echo "$@" >> {log}')
    check = f'case "$1" in *check_expected.py) echo check "$2" >> {log};;'
    program(folder, "python", f'{check} *) exec {sys.executable} "$@";; esac')
    done = run(repository, folder, "raw", "out", recipe, "--workers", "2")
    assert done.returncode == 0, done.stderr
    source = load_recipe(recipe).words.source
    tokenizer = "" if source == "learned" else f" --tokenizer {source}"
    train = f"train out/data --recipe {recipe}"
    assert log.read_text().splitlines() == [
        f"prepare kddcup raw --out out/data{tokenizer} --workers 2",
        f"{train} --out out/run",
        f"{train} --stages dual --set seed=1 --out out/dual-seed1",
        f"{train} --stages dual --set seed=2 --out out/dual-seed2",
        f"check {recipe}",
    ]


@pytest.mark.slow
def test_a_recipe_with_published_vectors_ends_cleanly(repository, small_world, tmp_path):
    transformers = pytest.importorskip("transformers")
    letters = [chr(c) for c in range(97, 123)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "sofa"]
    tokens += [*letters, *(f"##{letter}" for letter in letters)]
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.BertConfig(vocab_size=len(tokens), intermediate_size=4, **shape)
    transformers.BertModel(config).save_pretrained(tmp_path / "bert")
    (tmp_path / "bert" / "vocab.txt").write_text("\n".join(tokens))
    (tmp_path / "mine.yaml").write_text(WHOLE.format(bert=tmp_path / "bert"))
    folder = tmp_path / "bin"
    program(folder, "shopsight", f'exec {sys.executable} -m shopsight "$@"')
    program(folder, "python", f'exec {sys.executable} "$@"')
    arguments = (small_world, tmp_path / "out", tmp_path / "mine.yaml")
    done = run(repository, folder, *arguments)
    assert done.returncode == 0, done.stderr
    assert "no expected scores of recipe" in done.stdout
    for name in ("label-match", "ensemble", "dual, seed 1", "dual, seed 2"):
        assert f"     {name} " in done.stdout
    again = run(repository, folder, *arguments)
    assert again.returncode == 0, again.stderr
