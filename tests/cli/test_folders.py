"""Folders that do not belong together, or to this version: one sentence, before any work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shopsight.cli.main import main
from shopsight.config import WorldConfig

Trained = tuple[Path, str]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def index(trained: Trained, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folders") / "index"
    command = ["index", "build", str(trained[0]), str(small_data), "--out", str(folder), "--quiet"]
    assert main(command) == 0
    return folder


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared data whose features are narrower than those of the run."""
    from shopsight.demo.world import make_world
    from shopsight.prepare.kddcup.ingest import prepare_kddcup

    folder = tmp_path_factory.mktemp("narrow")
    sizes = {"eval_queries": 10, "eval_products": 60, "feature_width": 8}
    make_world(folder / "raw", WorldConfig(train_rows=60, train_products=30, **sizes))
    return prepare_kddcup(folder / "raw", folder / "data").path


@pytest.fixture(scope="module")
def outdated(
    trained: Trained, small_data: Path, index: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Folders of each kind whose manifest has another format version."""
    folders = {}
    sources = {"DATA": small_data / "data.json", "RUN": trained[0] / "run.json"}
    for name, manifest in (sources | {"INDEX": index / "index.json"}).items():
        folders[name] = tmp_path_factory.mktemp("outdated") / name.lower()
        folders[name].mkdir()
        content = json.loads(manifest.read_text()) | {"version": 1}
        (folders[name] / manifest.name).write_text(json.dumps(content))
    return folders


COMMANDS = [
    "rank RUN DATA --split valid --out OUT.json",
    "describe RUN DATA --split valid",
    "tag RUN DATA --out OUT.jsonl",
    "train DATA --recipe tiny --out OUT --dry-run",
    "train DATA --recipe tiny --out RUN --resume",
    "train DATA --recipe tiny --out OUT --reuse RUN",
    "prepare negatives DATA",
    "audit DATA",
    "index build RUN DATA --out OUT",
    "index add INDEX DATA",
    "index update INDEX DATA",
    "index remove INDEX 1",
    "index compact INDEX",
    "index check INDEX",
    "index stats INDEX",
    "index load INDEX --engine http://127.0.0.1:9",
    "search INDEX red",
    "serve INDEX --port 0",
    "dedupe INDEX",
    "info DATA",
    "info RUN",
    "info INDEX",
]
OUTDATED = [
    (command, kind) for command in COMMANDS for kind in ("RUN", "DATA", "INDEX") if kind in command
]


def error_of(command: str, folders: dict[str, Path], tmp_path: Path, capsys: Capture) -> str:
    words = command.replace("OUT", str(tmp_path / "out")).split()
    assert main([str(folders.get(word, word)) for word in words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("shopsight: ")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    return error


@pytest.mark.parametrize(("command", "kind"), OUTDATED)
def test_another_format_version(
    command: str, kind: str, outdated: dict[str, Path], trained: Trained, small_data: Path,
    index: Path, tmp_path: Path, capsys: Capture,
) -> None:  # fmt: skip
    folders = {"RUN": trained[0], "DATA": small_data, "INDEX": index}
    error = error_of(command, folders | {kind: outdated[kind]}, tmp_path, capsys)
    assert "made by another version of shopsight (format version 1, not " in error


@pytest.mark.parametrize(
    "command",
    [
        "rank RUN DATA --split valid --out OUT.json",
        "describe RUN DATA --split valid",
        "tag RUN DATA --out OUT.jsonl",
        "index build RUN DATA --out OUT",
        "index add INDEX DATA",
        "index update INDEX DATA",
    ],
)
def test_another_feature_width(
    command: str, narrow: Path, trained: Trained, index: Path, tmp_path: Path, capsys: Capture
) -> None:
    folders = {"RUN": trained[0], "DATA": narrow, "INDEX": index}
    error = error_of(command, folders, tmp_path, capsys)
    assert "the feature dimension is 8, but the models of" in error


def test_training_on_other_data(
    narrow: Path, trained: Trained, quick_recipe: Path, tmp_path: Path, capsys: Capture
) -> None:
    command = f"train DATA --recipe {quick_recipe} --seed 0 --threads 1 --out"
    folders = {"RUN": trained[0], "DATA": narrow}
    for target in ("RUN --resume", "RUN --dry-run", "OUT --reuse RUN", "OUT --reuse RUN --dry-run"):
        error = error_of(f"{command} {target}", folders, tmp_path, capsys)
        assert "trained on other data" in error


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("rank DATA RUN --split valid --out OUT.json", "not a prepared folder (no data.json)"),
        ("index build INDEX DATA --out OUT", "not a run folder (no run.json)"),
        ("search RUN red", "not an index (no index.json)"),
        ("train RUN --recipe tiny --out OUT", "not a prepared folder"),
        ("train DATA --recipe tiny --out DATA", "not a run folder, but it holds"),
        ("train DATA --recipe tiny --out DATA/run --dry-run", "choose another folder"),
        ("index build RUN DATA --out INDEX", "already an index"),
        ("rank RUN DATA --split valid --out OUT/none/run.json", "does not exist"),
        ("tag RUN DATA --out OUT/none/tags.jsonl", "does not exist"),
        ("judge RUN/run.json --out OUT/none.json", "does not exist"),
    ],
)
def test_folders_and_outputs_that_do_not_fit(
    command: str, sentence: str, trained: Trained, small_data: Path, index: Path, tmp_path: Path,
    capsys: Capture,
) -> None:  # fmt: skip
    folders = {"RUN": trained[0], "DATA": small_data, "INDEX": index}
    folders |= {"DATA/run": small_data / "run", "RUN/run.json": trained[0] / "run.json"}
    assert sentence in error_of(command, folders, tmp_path, capsys)
