"""``shopsight bench train | rank``: both ways timed, and the figures in step with each other."""

from __future__ import annotations

import json

import pytest

from shopsight.cli.main import main

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (
            ["train", "--batch", "8", "--steps", "1"],
            ["label-match", "word-match", "sentence-match"],
        ),
        (
            ["rank", "--queries", "6", "--products", "20", "--pool", "5"],
            [
                "label-match",
                "word-match",
                "word-match, trunk kept",
                "sentence-match",
                "sentence-match, trunk kept",
            ],
        ),
    ],
)
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_its_figures_fit_each_other(
    command: list[str], names: list[str], precision: str, capsys: Capture
) -> None:
    assert main(["bench", *command, "--size", "small", "--precision", precision, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["matrix_rate"] > 0
    assert [one["what"] for one in said["lines"]] == names
    for one in said["lines"]:
        assert one["ratio"] == pytest.approx(one["ours"] / one["plain"])
        assert one["share"] > 0
        assert 0 <= one["waiting"] < 1


def test_it_prints_a_table(capsys: Capture) -> None:
    assert main(["bench", "train", "--size", "small", "--batch", "8", "--steps", "1"]) == 0
    table = capsys.readouterr().out
    assert "waiting for data" in table
    assert "sentence-match" in table
    assert "billion operations" in table


def test_an_unknown_one_is_refused(capsys: Capture) -> None:
    assert main(["bench", "trian"]) == 2
    assert "did you mean 'train'?" in capsys.readouterr().err
