"""Demo: the full pipeline on both data sets."""

from __future__ import annotations

import csv
import json
import re
import shlex
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from shopsight.cli.demo import MIN_PRODUCTS, REGIONS, SHOP, commands
from shopsight.cli.main import main
from shopsight.config import SyntheticShopConfig
from shopsight.data.dataset import PreparedData
from shopsight.demo.shop import CLICKS, TABLE
from shopsight.formats.qrels import read_qrels
from shopsight.formats.runs import read_run
from shopsight.metrics.evaluate import evaluate
from shopsight.models.registry import model_specs
from shopsight.regions import load_extractor

MODELS = [spec.name for spec in model_specs() if not (spec.optional or spec.needs)]
FUSED = ("word+sentence", "ensemble")
NAMES = ["random", "word-centroids", *MODELS, *FUSED]
WORLDS = {SHOP: ["--products", "700"], REGIONS: []}


@pytest.fixture(scope="module", params=list(WORLDS))
def demo(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, str]:
    """Output folder, printed output and data set."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    with redirect_stdout(StringIO()) as output:
        command = ["demo", "--out", str(out), "--world", request.param, *WORLDS[request.param]]
        assert main(command) == 0
    return out, output.getvalue(), request.param


@pytest.fixture(scope="module")
def means(demo: tuple[Path, str, str]) -> dict[str, float]:
    """nDCG@5 on valid of every run, on held-out queries of the ensembles."""
    out, _, _ = demo
    qrels = read_qrels(out / "data" / "answers-valid.json")
    files = {name: f"valid-{name}{'-held-out' * (name in FUSED)}.json" for name in NAMES}
    runs = {name: read_run(out / "run" / "runs" / file) for name, file in files.items()}
    return {name: evaluate(run, qrels).estimates["ndcg@5"].mean for name, run in runs.items()}


def test_models_beat_random_and_the_ensemble_beats_its_members(means: dict[str, float]) -> None:
    assert means["random"] < 0.25
    for name in MODELS:
        assert means[name] > 2.5 * means["random"], name
    assert means["ensemble"] > 0.6
    assert means["ensemble"] >= max(means[name] for name in MODELS) - 1e-9
    assert means["ensemble"] > means["word-centroids"]


def test_printed_steps_and_scores_match_the_files(
    demo: tuple[Path, str, str], means: dict[str, float]
) -> None:
    out, output, _ = demo
    lines = output.splitlines()
    steps = [line.split()[2] for line in lines if line[6:9] == " s "]
    before, after = (
        ["generate", "prepare", "audit", "negatives"],
        ["rank", "fuse", "compare", "rank"],
    )
    assert steps == [*before, *MODELS, *after, "report", "index"]
    for name, mean in means.items():
        row = next(line for line in lines if line[3:].startswith(f"{name} "))
        assert f"{mean:.4f}" in row
    assert lines[-1].endswith(str(out / "report.html"))


def test_output_folder_has_data_models_submission_and_report(demo: tuple[Path, str, str]) -> None:
    out, _, world = demo
    data = PreparedData.open(out / "data")
    assert data.splits == ["train", "valid", "testA"]
    with open(out / "run" / "submissions" / "testA.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["query-id", *(f"product{i}" for i in range(1, 6))]
    assert len(rows) == 1 + len(data.queries("testA"))
    page = (out / "report.html").read_text()
    assert page.count('class="example card"') == 6
    assert len(page) < 8e6
    # Each photo is in the page once, however often it is shown.
    assert len(re.findall(r'<use href="#photo', page)) == (36 if world == SHOP else 0)
    jpegs = re.findall(r'href="(data:image/jpeg[^"]*)', page)
    assert len(jpegs) == len(set(jpegs))
    fusion = json.loads((out / "run" / "fusion.json").read_text())
    assert [ensemble["name"] for ensemble in fusion] == ["word+sentence", "ensemble"]
    assert fusion[1]["held_out"] >= fusion[0]["held_out"]


def test_generated_source_files_are_kept(demo: tuple[Path, str, str]) -> None:
    out, _, world = demo
    if world != SHOP:
        assert (out / "raw" / "truth.json").is_file()
        return
    assert (out / "shop" / TABLE).is_file()
    assert (out / "shop" / CLICKS).is_file()
    data = PreparedData.open(out / "data")
    assert data.photos is not None
    assert data.fields is not None
    assert set(data.fields.column_names) >= {"title", "category", "colour", "price", "in_stock"}
    assert load_extractor(out / "data" / "extractor").name == "classic"


def test_an_interrupted_demo_can_be_rerun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Path] = []

    def interrupt(folder: Path, config: SyntheticShopConfig) -> None:
        started.append(folder)
        (folder.parent / "half").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("shopsight.demo.shop.generate_shop", interrupt)
    for _ in range(2):
        assert main(["demo", "--out", str(tmp_path / "demo"), "--quiet"]) == 130
    assert len(started) == 2  # the rerun was accepted


@pytest.mark.parametrize("world", list(WORLDS))
@pytest.mark.parametrize("name", ["my demo", "-dash", "it's"])
def test_suggested_commands_are_quoted(name: str, world: str) -> None:
    lines = [shlex.split(line) for line in commands(Path(name), world)[:5]]
    assert [words[1] for words in lines] == ["search", "serve", "describe", "rank", "fuse"]
    for words in lines:
        folder = "index" if words[1] in ("search", "serve") else "run"
        assert any(word.lstrip("./").startswith(f"{name}/{folder}") for word in words)
        assert not any(word.startswith(name) for word in words if name.startswith("-"))


def test_index_answers_queries(demo: tuple[Path, str, str]) -> None:
    from shopsight.search.searcher import Searcher

    out, _, world = demo
    searcher = Searcher.open(out / "index")
    assert searcher.info()["products"] == PreparedData.open(out / "data").manifest["products"]
    results = searcher.search("red dress", 5, explain=True)
    assert [hit.explanation is not None for hit in results.hits] == [True] * 5
    if world == SHOP:
        assert sum(hit.fields["colour"] == "red" for hit in results.hits) >= 2
        photo = searcher.photo(results.hits[0].product_id)
        assert photo is not None
        again = searcher.search_photo(photo, 1)
        assert again.hits[0].product_id == results.hits[0].product_id


def test_search_commands_need_the_search_extra(tmp_path: Path) -> None:
    assert not [line for line in commands(tmp_path, SHOP, indexed=False) if "index" in line]


def test_foreign_folders_are_rejected_and_untouched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("mine")
    assert main(["demo", "--out", str(tmp_path)]) == 2
    assert "is not a demo folder; choose another --out" in capsys.readouterr().err
    assert main(["demo", "--out", str(tmp_path / "data" / "mine.txt")]) == 2
    assert "a file is in the way; choose another --out" in capsys.readouterr().err
    assert (tmp_path / "data" / "mine.txt").read_text() == "mine"


def test_too_few_products_and_missing_packages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = str(MIN_PRODUCTS - 1)
    assert main(["demo", "--out", str(tmp_path / "demo"), "--products", few]) == 2
    assert f"--products must be at least {MIN_PRODUCTS}, not {few}" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "shopsight.demo.shop", None)
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 2
    assert "run the demo without photos: shopsight demo --world regions" in capsys.readouterr().err
