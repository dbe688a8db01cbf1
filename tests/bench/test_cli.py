"""``shopsight bench train | rank``: consistent figures of the reference and of ours."""

from __future__ import annotations

import json

import pytest

from shopsight.cli.main import main

Capture = pytest.CaptureFixture[str]
SMALL_RANK = ["--queries", "6", "--products", "20", "--pool", "5"]


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (
            ["train", "--batch", "8", "--steps", "1"],
            ["label-match", "word-match", "sentence-match"],
        ),
        (
            ["rank", *SMALL_RANK],
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
@pytest.mark.parametrize("precision", ["float32", pytest.param("bf16", marks=pytest.mark.slow)])
def test_figures_are_consistent(
    command: list[str], names: list[str], precision: str, capsys: Capture
) -> None:
    assert main(["bench", *command, "--size", "small", "--precision", precision, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["matrix_rate"] > 0
    assert [line["name"] for line in figures["lines"]] == names
    for line in figures["lines"]:
        assert line["ratio"] == pytest.approx(line["ours"] / line["reference"])
        assert line["utilisation"] > 0
        assert 0 <= line["waiting"] < 1


def test_a_table_is_printed(capsys: Capture) -> None:
    assert main(["bench", "rank", *SMALL_RANK, "--size", "small"]) == 0
    table = capsys.readouterr().out
    assert "waiting for data" in table
    assert "sentence-match" in table
    assert "billion operations" in table


def test_an_unknown_benchmark_is_an_error(capsys: Capture) -> None:
    assert main(["bench", "trian"]) == 2
    assert "did you mean 'train'?" in capsys.readouterr().err
