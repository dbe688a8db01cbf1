"""Run folders beside each other: settings, scores, queries, and every format."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import shopsight as ss
from shopsight.cli.main import main

Trained = tuple[Path, str]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folders(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The trained run, and one whose dual encoder is as good as the word match of the first."""
    top = tmp_path_factory.mktemp("trainings")
    for name in ("before", "after"):
        shutil.copytree(trained[0], top / name)
    manifest = json.loads((top / "after" / "run.json").read_text())
    manifest["recipe"]["dual"]["width"] = 64
    manifest["recipe"]["dual"]["train"]["lr"] = 0.5
    (top / "after" / "run.json").write_text(json.dumps(manifest))
    shutil.copyfile(top / "before/runs/valid-word-match.json", top / "after/runs/valid-dual.json")
    return top / "before", top / "after"


def values(folder: Path, model: str, data: Path, metric: str) -> np.ndarray:
    run = folder / "runs" / f"valid-{model}.json"
    return ss.evaluate(run, data / "answers-valid.json", metric).per_query[metric]


def test_differences(folders: tuple[Path, Path], small_data: Path) -> None:
    result = ss.compare_trainings(folders, model="dual", metrics=["mrr", "ndcg@5"])
    assert result.settings == {"dual.width": (32, 64), "dual.train.lr": (0.003, 0.5)}
    before, after = (values(folders[0], m, small_data, "mrr") for m in ("dual", "word-match"))
    (mrr, ndcg) = result.deltas
    assert (mrr.folder, mrr.model, mrr.metric, ndcg.metric) == ("after", "dual", "mrr", "ndcg@5")
    assert mrr.first == pytest.approx(before.mean())
    assert mrr.mean == pytest.approx(after.mean())
    assert mrr.delta.mean == pytest.approx((after - before).mean())
    assert mrr.delta.low <= mrr.delta.mean <= mrr.delta.high
    assert (mrr.wins, mrr.losses) == ((after > before).sum(), (after < before).sum())
    assert mrr.wins + mrr.ties + mrr.losses == len(before)
    reference = ss.compare(
        [folders[0] / "runs/valid-dual.json", folders[0] / "runs/valid-word-match.json"],
        small_data / "answers-valid.json",
        "mrr",
    )
    assert mrr.p == reference.p_values["mrr"][0, 1]
    changes = {delta.model: delta.delta.mean for delta in result.models}
    assert changes.pop("dual") == pytest.approx((after - before).mean())
    assert set(changes.values()) == {0.0}


def test_changed_queries(folders: tuple[Path, Path], small_data: Path) -> None:
    result = ss.compare_trainings(folders, model="dual", metrics="mrr")
    before, after = (values(folders[0], m, small_data, "mrr") for m in ("dual", "word-match"))
    changes = [abs(query.change) for query in result.changed]
    assert changes == sorted(np.abs(after - before)[after != before], reverse=True)[:20]
    query = result.changed[0]
    data = ss.load(small_data)
    queries = data.queries("valid")
    assert query.text == queries.texts[queries.ids.index(query.query_id)]
    ranking = ss.read_run(folders[1] / "runs/valid-dual.json").to_dict()[query.query_id]
    assert query.products[1] == tuple(list(ranking)[:5])
    assert set(query.relevant) == set(data.qrels("valid").relevance[query.query_id])


def test_the_same_run_twice(folders: tuple[Path, Path]) -> None:
    result = ss.compare_trainings([folders[0], folders[0], folders[0]], metrics="map")
    assert (result.settings, result.changed) == ({}, ())
    assert [delta.p for delta in result.deltas] == [1.0, 1.0]
    assert "The recipes and the data are the same." in str(result)


def test_other_judgements_are_needed_for_other_data(
    folders: tuple[Path, Path], small_data: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(folders[1], other)
    manifest = json.loads((other / "run.json").read_text())
    manifest["files"]["answers-valid.json"] = "0" * 64
    (other / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(ss.ShopsightError, match="validated on other queries; give --answers"):
        ss.compare_trainings([folders[0], other])
    result = ss.compare_trainings([folders[0], other], small_data / "answers-valid.json")
    assert "data: answers-valid.json" in result.settings
    assert len(result.deltas) == 3


def test_every_format(folders: tuple[Path, Path], capsys: Capture) -> None:
    def compare(*words: str) -> str:
        assert main(["compare", *map(str, folders), "--model", "dual", *words]) == 0
        return capsys.readouterr().out

    text = compare()
    assert re.search(r"dual\.width +32 +64\n", text)
    result = json.loads(compare("--json"))
    assert result["settings"]["dual.width"] == [32, 64]
    assert len(result["queries"]) <= 20
    rows = list(csv.DictReader(io.StringIO(compare("--format", "csv"))))
    assert [row["metric"] for row in rows[:3]] == ["ndcg@5", "recall@10", "mrr"]
    assert float(rows[0]["difference"]) == result["differences"][0]["difference"]
    markdown = compare("--format", "markdown")
    assert "| dual.width | 32 | 64 |" in markdown
    latex = compare("--format", "latex")
    assert "dual.width & 32 & 64 \\\\" in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 4
    page = compare("--format", "html")
    query = result["queries"][0]
    assert "<td>dual.width</td>" in page
    for products in query["products"]:
        assert all(product in page for product in products)
    assert page.count("<h2>") == len(result["queries"])
    assert "http" not in page


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["RUN"], "a comparison needs at least two runs"),
        (["RUN", "RUN/runs/valid-dual.json"], "rankings with rankings, or run folders with run"),
        (["RUN/runs/valid-dual.json", "RUN/runs/valid-dual.json"], "rankings needs --answers"),
        (["RUN", "RUN", "--model", "dul"], "did you mean 'dual'?"),
        (["RUN", "RUN", "--split", "testB"], "split 'testB' has no relevance judgements"),
        (["RUN", "RUN", "--metrics", "ndgc"], "did you mean 'ndcg'?"),
    ],
)
def test_errors(words: list[str], sentence: str, trained: Trained, capsys: Capture) -> None:
    assert main(["compare", *(word.replace("RUN", str(trained[0])) for word in words)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
