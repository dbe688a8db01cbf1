"""``shopsight`` itself: overview, exit codes, errors as text and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shopsight import __version__
from shopsight.cli.main import COMMANDS, main, overview


def test_overview_lists_every_command() -> None:
    lines = overview().splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(COMMANDS)


def test_module_and_command_are_the_same_program() -> None:
    command = [sys.executable, "-m", "shopsight", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"shopsight {__version__}\n"


def test_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evalute"]) == 2
    assert "did you mean 'evaluate'" in capsys.readouterr().err


SUBCOMMANDS = {"prepare": ["kddcup"], "index": ["build"], "bench": ["data"]}


@pytest.mark.parametrize("command", COMMANDS)
def test_general_options_everywhere(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, *SUBCOMMANDS.get(command, []), "--help"])
    out = capsys.readouterr().out
    for option in ("--quiet", "--debug", "--seed", "--json"):
        if (command, option) != ("serve", "--json"):
            assert option in out, option


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["prepare", "kddcup", "raw"], "interrupted; repeat the command to resume"),
        (
            ["prepare", "kddcup", "raw", "--force"],
            "interrupted; repeat the command without --force to resume",
        ),
        (["evaluate", "run.json"], "interrupted"),
        (["train", "data"], "interrupted; repeat the command with --resume to continue"),
        (["--", "index", "add", "ix"], "interrupted; repeat the command to resume"),
        (["index", "check", "ix"], "interrupted"),
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


def test_errors_are_json_with_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = f"{tmp_path / 'none'}: no such file or directory"
    command = ["evaluate", str(tmp_path / "none"), "--answers", str(tmp_path / "answers.json")]
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
