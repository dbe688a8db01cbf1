"""Closed, full or abandoned standard streams; invalid calls of the command itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shopsight.cli.main import main

SHOPSIGHT = f"{sys.executable} -m shopsight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run.json").write_text('{"1": {"a": 1.0}, "2": {"a": 0.5, "b": 0.1}}')
    (tmp_path / "answers.json").write_text('{"1": ["a"], "2": ["b"]}')
    return tmp_path


def shell(folder: Path, line: str, *, buffered: bool = True) -> tuple[int, str]:
    """Exit code and stderr of a command line."""
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
def test_full_disk_is_reported(folder: Path, command: str, buffered: bool) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    code, stderr = shell(folder, f"shopsight {command} >/dev/full", buffered=buffered)
    assert (code, stderr) == (
        2,
        "shopsight: standard output: cannot write, no space left on device\n",
    )


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("command", COMMANDS)
def test_closed_pipe_is_not_an_error(folder: Path, command: str, buffered: bool) -> None:
    line = f"(sleep 0.2; shopsight {command}) | true; exit ${{PIPESTATUS[0]}}"
    assert shell(folder, line, buffered=buffered) == (0, "")


def test_error_is_reported_despite_closed_pipe(folder: Path) -> None:
    line = "(sleep 0.2; shopsight evaluate none --answers a) | true; exit ${PIPESTATUS[0]}"
    assert shell(folder, line) == (2, "shopsight: none: no such file or directory\n")


def test_closed_streams_are_reported(folder: Path) -> None:
    evaluate = "shopsight evaluate run.json --answers answers.json"
    code, stderr = shell(folder, f"{evaluate} >&-")
    assert (code, stderr.count("\n")) == (2, 1)
    assert stderr.startswith("shopsight: standard output is closed")
    assert shell(folder, f"{evaluate} <&-") == (0, "")
    code, stderr = shell(folder, "shopsight evaluate - --answers answers.json <&-")
    assert (code, stderr) == (2, "shopsight: -: standard input is closed\n")
    # The message is lost, but it must not go to stdout, where results are expected.
    line = "shopsight evaluate none --answers a 2>&- | grep . && exit 9; exit ${PIPESTATUS[0]}"
    assert shell(folder, line) == (2, "")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["prepare", "kddcup", "raw"], "interrupted; repeat the command to resume"),
        (
            ["prepare", "kddcup", "raw", "--force"],
            "interrupted; repeat the command without --force to resume",
        ),
        (["evaluate", "run.json"], "interrupted"),
    ],
)
def test_interrupted(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    message: str,
) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shopsight.cli.main.import_module", interrupt)
    assert main(argv) == 130
    assert capsys.readouterr().err == f"shopsight: {message}\n"


@pytest.mark.parametrize("seed", ["-1", "4294967296"])
def test_seed_out_of_range(capsys: pytest.CaptureFixture[str], seed: str) -> None:
    assert main(["demo", "--out", "never", "--seed", seed]) == 2
    expected = f"shopsight: --seed must be from 0 to 4294967295, not {seed}\n"
    assert capsys.readouterr().err == expected
    assert not Path("never").exists()


def test_bench_in_missing_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "data", "--folder", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"shopsight: {tmp_path / 'none'}: no such folder\n"


def test_errors_are_json_with_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = f"{folder / 'none'}: no such file or directory"
    command = ["evaluate", str(folder / "none"), "--answers", str(folder / "answers.json")]
    assert main([*command, "--json"]) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"error": message}
    assert printed.err == f"shopsight: {message}\n"
    assert main(command) == 2
    assert capsys.readouterr().out == ""


def test_invalid_arguments_are_json_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--answer", "x", "--json"]) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"] in printed.err
    assert "did you mean '--answers'" in printed.err
