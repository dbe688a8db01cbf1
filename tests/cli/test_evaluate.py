"""``shopsight evaluate | compare | rerank | submit``."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from shopsight.cli.main import main
from shopsight.formats.runs import read_run

PRODUCTS = ["a", "b", "c", "d", "e", "f"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs over 12 queries: "good" ranks the relevant product first, "bad" ranks it last."""
    queries = [str(query) for query in range(12)]
    good = {q: [[p, float(10 - i)] for i, p in enumerate(PRODUCTS)] for q in queries}
    bad = {q: [[p, float(i)] for i, p in enumerate(PRODUCTS)] for q in queries}
    (tmp_path / "good.json").write_text(json.dumps(good))
    (tmp_path / "bad.json").write_text(json.dumps(bad))
    (tmp_path / "answers.json").write_text(json.dumps({q: ["a"] for q in queries}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    message = printed.err.strip().splitlines()[-1]
    assert message.startswith("shopsight: ")
    return message


def test_evaluate_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "good.json", "--answers", "answers.json", "--json"]
    assert main([*command, "--metrics", "ndcg@5", "mrr"]) == 0
    perfect = {"mean": 1.0, "low": 1.0, "high": 1.0, "queries": 12}
    assert json.loads(capsys.readouterr().out) == {"ndcg@5": perfect, "mrr": perfect}


def test_evaluate_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "bad.json", "--answers", "answers.json"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"metric +mean +95% interval +queries", out)
    assert re.search(r"mrr +0\.1667 +\[0\.1667, 0\.1667\] +12", out)


@pytest.mark.parametrize(("name", "separator"), [("values.tsv", "\t"), ("values.csv", ",")])
def test_per_query(folder: Path, name: str, separator: str) -> None:
    command = ["evaluate", "bad.json", "--answers", "answers.json", "--metrics", "mrr", "hit@1"]
    assert main([*command, "--per-query", name]) == 0
    with open(folder / name, newline="") as file:
        text = file.read()
    assert "\r" not in text
    rows = list(csv.reader(text.splitlines(), delimiter=separator))
    assert rows[:2] == [["query_id", "mrr", "hit@1"], ["0", repr(1 / 6), "0.0"]]
    assert len(rows) == 13


def test_evaluate_reports_what_was_left_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "other.json").write_text('{"0": ["a"], "90": ["a"], "1": []}')
    assert main(["evaluate", "good.json", "--answers", "other.json"]) == 0
    warned = capsys.readouterr().err
    assert "good: queries with answers that are not ranked, counted as 0: 1 (90)" in warned
    assert "good: ranked queries without answers, left out: 10 (2, 3, 4, ...)" in warned
    assert "queries with nothing relevant in the answers, counted as 0: 1 (1)" in warned
    assert main(["evaluate", "good.json", "--answers", "other.json", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_compare(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "good.json", "bad.json", "--answers", "answers.json"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"a +good +1\.0000 b \[1\.0000, 1\.0000\]", out)
    assert re.search(r"b +bad +0\.0000 +\[0\.0000, 0\.0000\]", out)
    assert "paired randomisation test, p < 0.05, holm correction" in out


def test_compare_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["compare", "good.json", "bad.json", "--answers", "answers.json", "--json"]
    assert main([*command, "--metrics", "mrr"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["runs"]["good"]["mrr"]["mean"] == 1.0
    assert result["beats"] == {"mrr": {"good": ["bad"], "bad": []}}
    (test,) = result["tests"]
    assert (test["metric"], test["runs"]) == ("mrr", ["good", "bad"])
    assert test["p"] == test["p_adjusted"] < 0.05


def test_runs_of_the_same_name_get_distinct_names(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "x").mkdir()
    (folder / "x" / "good.json").write_text((folder / "bad.json").read_text())
    command = ["compare", "good.json", "x/good.json", "good.json", "--answers", "answers.json"]
    assert main([*command, "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["runs"]) == [
        "good.json",
        "x/good.json",
        "good.json again",
    ]


def test_rerank(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "two.tsv").write_text("1\ta\t0.9\n1\tb\t0.5\n2\ta\t0.7\n2\tc\t0.1\n")
    assert main(["rerank", "two.tsv", "--exclusive", "--out", "out.tsv", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"kept": 3, "demoted": 1, "out": "out.tsv"}
    assert printed.err.count("\n") == 1
    assert "transductive: it uses other queries' candidates, which live search" in printed.err
    run = read_run("out.tsv")
    assert run.pools.product_ids[run.order].tolist() == ["a", "b", "c", "a"]


def test_rerank_margin(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "two.tsv").write_text("1\ta\t0.9\n1\tb\t0.5\n2\ta\t0.7\n2\tc\t0.1\n")
    command = ["rerank", "two.tsv", "--exclusive", "--margin", "0.5", "--out", "out.tsv"]
    assert main([*command, "--quiet"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "2 candidates kept, 2 demoted; written: out.tsv\n"
    assert printed.err == ""


def test_submit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", "good.json", "--out", "s.csv", "--pools", "bad.json"]) == 0
    assert (folder / "s.csv").read_text().splitlines()[:2] == [
        "query-id,product1,product2,product3,product4,product5",
        "0,a,b,c,d,e",
    ]
    assert capsys.readouterr().out == "12 queries, five products each; written: s.csv\n"
    assert main(["submit", "good.json", "--out", "s.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"queries": 12, "out": "s.csv"}


def test_invalid_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "are required: --answers (see" in error_of(capsys, "evaluate", "good.json")
    assert "are required: RUN, --out (see" in error_of(capsys, "submit")
    answers = ["--answers", "answers.json"]
    assert "none.json: no such file" in error_of(capsys, "evaluate", "none.json", *answers)
    assert "did you mean 'ndcg'" in error_of(
        capsys, "evaluate", "good.json", *answers, "--metrics", "ndgc@5"
    )
    assert "did you mean '--answers'" in error_of(capsys, "evaluate", "good.json", "--answer", "x")
    assert "at least two runs" in error_of(capsys, "compare", "good.json", *answers)
    assert "--exclusive" in error_of(capsys, "rerank", "good.json", "--out", "x.json")
    assert "ending does not tell" in error_of(
        capsys, "rerank", "good.json", "--exclusive", "--out", "x.docx"
    )
    (folder / "short.tsv").write_text("7\ta\t1\n")
    assert "short.tsv: query '7' has 1 distinct product, a" in error_of(
        capsys, "submit", "short.tsv", "--out", "s.csv"
    )
    assert not (folder / "s.csv").exists()


@pytest.mark.parametrize("command", ["evaluate", "compare", "fuse", "rerank", "audit", "submit"])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    out = capsys.readouterr().out
    assert f"examples:\n  shopsight {command} " in out
