"""The end of options, positional arguments anywhere, and every output encoding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shopsight.cli.argv import as_text, options_of, split_command
from shopsight.cli.main import main
from shopsight.cli.parser import Parser
from shopsight.errors import UsageError


def test_words_before_the_end_of_options() -> None:
    assert options_of(["search", "--json", "--", "--quiet"]) == ["search", "--json"]
    assert options_of(["search", "--json"]) == ["search", "--json"]
    assert split_command(["add", "--json"]) == ("add", ["--json"])
    assert split_command(["--"]) == ("--", [])


@pytest.mark.parametrize("text", ["plain", "жёлтый", "a\udcffb"])
def test_arguments_as_text(text: str) -> None:
    escaped = text.encode("utf-8", "surrogateescape").decode("ascii", "surrogateescape")
    assert as_text(escaped) == text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    assert as_text("plain") == "plain"


@pytest.fixture
def parser() -> Parser:
    parser = Parser("try", "Try.", ["try a b"])
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--metrics", nargs="+", type=str, default=[])
    parser.add_argument("--margin", type=float)
    parser.add_argument("index")
    parser.add_argument("query", nargs="?")
    parser.add_argument("more", nargs="*")
    return parser


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["ix", "-k", "3", "red"], {"index": "ix", "k": 3, "query": "red", "more": []}),
        (["ix", "-k3", "red", "x"], {"index": "ix", "k": 3, "query": "red", "more": ["x"]}),
        (["ix", "-k", "3", "--", "--sale"], {"index": "ix", "k": 3, "query": "--sale"}),
        (["--", "ix", "-k", "3"], {"index": "ix", "k": 10, "query": "-k", "more": ["3"]}),
        (["--", "--help"], {"index": "--help", "query": None}),
        (["--metrics", "a", "b", "--", "ix"], {"metrics": ["a", "b"], "index": "ix"}),
        (["ix", "--metrics=a", "red"], {"metrics": ["a"], "query": "red"}),
        (["ix", "--margin", "-0.5", "-"], {"margin": -0.5, "query": "-"}),
        (["ix", "-3"], {"index": "ix", "query": "-3"}),
        (["ix", "--red dress"], {"query": "--red dress"}),
    ],
)
def test_arguments_in_any_order(
    parser: Parser, argv: list[str], expected: dict[str, object]
) -> None:
    args = parser.read(argv)
    assert {name: args[name] for name in expected} == expected


@pytest.mark.parametrize("argv", [["ix", "--sale"], ["--quiett", "ix"], ["ix", "-x"], ["--"], []])
def test_unknown_options_and_missing_arguments(parser: Parser, argv: list[str]) -> None:
    with pytest.raises(UsageError, match=r"unknown option|required"):
        parser.read(argv)


def test_files_whose_names_begin_with_dashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("--run.json").write_text('{"q": {"a": 2, "b": 1}}')
    Path("answers.json").write_text('{"q": ["a"]}')
    assert main(["evaluate", "--answers", "answers.json", "--json", "--", "--run.json"]) == 0
    assert json.loads(capsys.readouterr().out)["mrr"]["mean"] == 1
    assert main(["--", "info", "--run.json"]) == 0
    assert "--run.json" in capsys.readouterr().out
    # After "--" nothing is an option: not --json, and not --quiet.
    assert main(["info", "--", "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "--json: no such file" in printed.err


@pytest.mark.parametrize("words", [["index", "--", "stats"], ["prepare", "--", "negatives"]])
def test_end_of_options_before_a_subcommand(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, str(tmp_path / "none")]) == 2
    assert "none: not a" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii", "cp437", "utf-16", "utf-8"])
def test_any_output_encoding(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "прогон – ёлка.json").write_text('{"q": {"a": 2, "b": 1}}')
    (tmp_path / "answers.json").write_text('{"q": ["a"]}')
    run, answers = str(tmp_path / "прогон – ёлка.json"), str(tmp_path / "answers.json")

    def shopsight(*words: str) -> str:
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        command = [sys.executable, "-m", "shopsight", *words]
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode(encoding)

    compare = ["compare", run, run, "--answers", answers]
    table = shopsight(*compare)
    assert ("прогон – ёлка" if encoding.startswith("utf") else "?????? ") in table
    assert "1.0000" in table
    if encoding == "ascii":
        assert "----------" in table
    assert list(json.loads(shopsight(*compare, "--json"))["runs"]) == [run, f"{run} again"]
    assert "evaluate" in shopsight("--help")


def test_arguments_in_a_locale_without_their_characters(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"q": {"a": 2, "b": 1}}')
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "shopsight", "evaluate", "run.json", "--answers", "жёлтый"]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_quiet_hides_warnings_of_libraries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import warnings

    from shopsight.cli import evaluate

    def warn(path: str) -> None:
        warnings.warn("a library complains", UserWarning, stacklevel=1)
        assert "ignore" in sys.warnoptions  # what worker processes receive
        raise UsageError("after the warning")

    monkeypatch.setattr(evaluate, "info", warn)
    monkeypatch.setattr(
        evaluate.Parser, "add_parameters", lambda self, *_, **__: self.add_argument("path")
    )
    before = list(sys.warnoptions)
    assert main(["info", "x", "--quiet"]) == 2
    assert sys.warnoptions == before
    with pytest.warns(UserWarning, match="complains"), pytest.raises(AssertionError):
        main(["info", "x"])
