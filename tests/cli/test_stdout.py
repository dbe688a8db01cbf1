"""Closed, full or abandoned standard streams."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
