"""Standard output and input that are closed, full or gone; wrong calls of the command itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shopsight.cli.main import main

SHOPSIGHT = f"{sys.executable} -m shopsight.cli.main"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run.json").write_text('{"1": {"a": 1.0}, "2": {"a": 0.5, "b": 0.1}}')
    (tmp_path / "answers.json").write_text('{"1": ["a"], "2": ["b"]}')
    return tmp_path


def shell(folder: Path, line: str, *, buffered: bool = True) -> tuple[int, str]:
    """The exit code of a command line and what it said on stderr."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    if not buffered:
        environment["PYTHONUNBUFFERED"] = "1"
    done = subprocess.run(
        ["bash", "-c", f'shopsight() {{ {SHOPSIGHT} "$@"; }}; {line}'],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


COMMANDS = [
    "--help",
    "--version",
    "evaluate --help",
    "prepare",
    "evaluate run.json --answers answers.json",
    "evaluate run.json --answers answers.json --json",
]


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_one_sentence(folder: Path, command: str, buffered: bool) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    code, said = shell(folder, f"shopsight {command} >/dev/full", buffered=buffered)
    assert (code, said) == (
        2,
        "shopsight: standard output: cannot write, no space left on device\n",
    )


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_is_gone_is_no_error(folder: Path, command: str, buffered: bool) -> None:
    line = f"(sleep 0.2; shopsight {command}) | true; exit ${{PIPESTATUS[0]}}"
    assert shell(folder, line, buffered=buffered) == (0, "")


def test_an_error_matters_more_than_a_reader_that_is_gone(folder: Path) -> None:
    line = "(sleep 0.2; shopsight evaluate none --answers a) | true; exit ${PIPESTATUS[0]}"
    assert shell(folder, line) == (2, "shopsight: none: no such file or directory\n")


def test_closed_streams_are_a_sentence(folder: Path) -> None:
    evaluate = "shopsight evaluate run.json --answers answers.json"
    code, said = shell(folder, f"{evaluate} >&-")
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith("shopsight: standard output is closed")
    assert shell(folder, f"{evaluate} <&-") == (0, "")
    code, said = shell(folder, "shopsight evaluate - --answers answers.json <&-")
    assert (code, said) == (2, "shopsight: -: standard input is closed\n")
    # Nobody hears the sentence, but it must not go where results are expected.
    line = "shopsight evaluate none --answers a 2>&- | grep . && exit 9; exit ${PIPESTATUS[0]}"
    assert shell(folder, line) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["prepare", "kddcup", "raw"], "interrupted; the same command continues"),
        (
            ["prepare", "kddcup", "raw", "--force"],
            "interrupted; the same command without --force continues",
        ),
        (["evaluate", "run.json"], "interrupted"),
    ],
)
def test_interrupted(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shopsight.cli.main.import_module", interrupt)
    assert main(arguments) == 130
    assert capsys.readouterr().err == f"shopsight: {sentence}\n"


@pytest.mark.parametrize("seed", ["-1", "4294967296"])
def test_seeds_out_of_range(capsys: pytest.CaptureFixture[str], seed: str) -> None:
    assert main(["demo", "--out", "never", "--seed", seed]) == 2
    expected = f"shopsight: --seed must be from 0 to 4294967295, not {seed}\n"
    assert capsys.readouterr().err == expected
    assert not Path("never").exists()


def test_bench_in_a_folder_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "data", "--folder", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"shopsight: {tmp_path / 'none'}: no such folder\n"
