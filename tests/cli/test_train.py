"""``shopsight train``: stages, files, resuming, and errors."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shopsight.cli.main import main
from shopsight.data.dataset import PreparedData
from shopsight.formats.runs import read_run
from shopsight.inference.ensemble import load_ensembles
from shopsight.metrics.evaluate import evaluate
from shopsight.models.registry import model_spec, model_specs
from shopsight.prepare.kddcup.ingest import prepare_kddcup

# Those of the quick recipe: without those that need files of photos, and without the word head.
MODELS = [spec.name for spec in model_specs() if not spec.needs and spec.name != "word-head"]
Trained = tuple[Path, str]
Capture = pytest.CaptureFixture[str]
FUSED = ("word+sentence", "ensemble")
NAMES = ["random", *MODELS, *FUSED]


def train(data: Path, recipe: object, out: Path, *more: str) -> list[str]:
    command = ["train", str(data), "--recipe", str(recipe), "--out", str(out)]
    return [*command, "--threads", "1", *more]


def error_of(capsys: Capture, command: list[str]) -> str:
    assert main(command) == 2
    return capsys.readouterr().err


def test_its_figures_are_those_of_the_files_it_writes(trained: Trained, small_data: Path) -> None:
    folder, text = trained
    output = json.loads(text)
    qrels = PreparedData.open(small_data).qrels("valid")
    assert list(output["models"]) == NAMES
    for name, figures in output["models"].items():
        path = folder / "runs" / f"valid-{name}{'-held-out' * (name in FUSED)}.json"
        estimates = evaluate(read_run(path), qrels).estimates
        assert estimates["ndcg@5"].mean == pytest.approx(figures["ndcg@5"]["mean"], abs=1e-9)
    means = {name: figures["ndcg@5"]["mean"] for name, figures in output["models"].items()}
    members = [name for name in MODELS if not model_spec(name).imitates]
    assert means["ensemble"] >= max(means[name] for name in members) - 1e-12
    fusion = output["fusion"]["ensemble"]
    assert means["ensemble"] == pytest.approx(fusion["held_out"], abs=1e-9)
    in_sample = evaluate(read_run(folder / "runs" / "valid-ensemble.json"), qrels)
    assert in_sample["ndcg@5"] == pytest.approx(fusion["in_sample"], abs=1e-9)
    assert {*fusion["weights"], *fusion["dropped"]} == set(members)
    assert output["imitation"] == {"student": pytest.approx(means["student"] / means["ensemble"])}
    assert set(MODELS) <= set(output["seconds"])
    assert output["unseen"].keys() == {"testA"}


def test_it_leaves_models_runs_a_submission_and_a_page(trained: Trained) -> None:
    folder, _ = trained
    runs = {path.name for path in (folder / "runs").iterdir()}
    expected = {f"{split}-{name}.json" for split in ("valid", "testA") for name in NAMES}
    assert runs == expected - {"testA-random.json"} | {f"valid-{n}-held-out.json" for n in FUSED}
    for stage in MODELS:
        assert (folder / stage / "best.safetensors").is_file()
        assert json.loads((folder / stage / "done.json").read_text())["steps"] > 0
    with open(folder / "submissions" / "testA.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 41
    assert len(set(rows[1][1:])) == 5


def test_its_page_shows_what_was_learned(trained: Trained) -> None:
    folder, _ = trained
    page = (folder / "report.html").read_text()
    for stage in MODELS:
        assert f"<h3>{stage}</h3>" in page
    assert page.count('class="example card"') == 6
    assert page.count("training loss over epoch") == len(MODELS)
    assert load_ensembles(folder)[-1].summary in page
    assert 'class="word"' in page
    assert 'class="region weighed"' in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_finished_run_is_not_trained_again(
    trained: Trained, small_data: Path, quick_recipe: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    assert "contains a run already; add --resume" in error_of(
        capsys, train(small_data, quick_recipe, folder)
    )
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    assert main(train(small_data, quick_recipe, folder, "--resume", "--json")) == 0
    again, first = json.loads(capsys.readouterr().out), json.loads(trained[1])
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")} == before
    assert {key: again[key] for key in ("models", "fusion", "unseen")} == {
        key: first[key] for key in ("models", "fusion", "unseen")
    }
    assert [again["seconds"][stage] for stage in MODELS] == [
        first["seconds"][stage] for stage in MODELS
    ]


def test_stages_can_come_one_by_one(
    small_data: Path, quick_recipe: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "run"
    command = train(small_data, quick_recipe, folder)
    message = error_of(capsys, [*command, "--stages", "word-match"])
    assert "stage word-match starts from label-match" in message
    assert not folder.exists()
    assert main([*command, "--stages", "label-match"]) == 0
    output = capsys.readouterr().out
    steps = [line.split()[2] for line in output.splitlines() if line[6:9] == " s "]
    assert steps == ["negatives", "label-match", "rank", "compare", "rank", "report"]
    assert not (folder / "runs" / "valid-ensemble.json").exists()
    assert "Fusion" not in (folder / "report.html").read_text()
    assert main([*command, "--stages", "dual", "--resume", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    assert list(models) == ["random", "label-match", "dual", "ensemble"]


def test_killed_in_every_stage_it_comes_to_the_same(
    trained: Trained, small_data: Path, quick_recipe: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "shopsight.cli.main"]
    command += train(small_data, quick_recipe, folder, "--resume", "--quiet")
    for stage in MODELS:
        place = folder / stage / "phase-1" if stage == "dual" else folder / stage
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None and not list(place.glob("checkpoint-*")):
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL, f"{stage} was over before it was killed"
    assert main(train(small_data, quick_recipe, folder, "--resume", "--quiet")) == 0
    for name in (*MODELS, "ensemble"):
        for split in ("valid", "testA"):
            actual, expected = (
                read_run(run / "runs" / f"{split}-{name}.json") for run in (folder, trained[0])
            )
            assert actual.pools.product_ids.tolist() == expected.pools.product_ids.tolist()
            assert actual.scores == pytest.approx(expected.scores, abs=1e-5)


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    trained: Trained, small_data: Path, quick_recipe: Path, tmp_path: Path, capsys: Capture
) -> None:
    command = train(small_data, quick_recipe, tmp_path / "new", "--dry-run", "--json")
    assert main(command) == 0
    stages = json.loads(capsys.readouterr().out)["stages"]
    assert [stage["stage"] for stage in stages] == MODELS
    assert list(tmp_path.iterdir()) == []
    for stage in stages:
        assert 0 < stage["trained"] <= stage["parameters"]
        assert stage["seconds"] > 0
        assert stage["pairs_per_second"] > 0
        assert stage["memory_mib"] > 0
        assert not stage["finished"]
    pretrain, word = (s for s in stages if s["stage"] in ("label-match", "word-match"))
    assert pretrain["trained"] == pretrain["parameters"]
    assert word["trained"] < word["parameters"]  # its trunk and word vectors are frozen
    for stage in stages:
        folder = trained[0] / stage["stage"]
        phases = [folder, *folder.glob("phase-*")]  # dual has two
        steps = sum(json.loads((phase / "done.json").read_text())["steps"] for phase in phases)
        assert stage["steps"] == pytest.approx(steps, rel=0.2)
    assert main(train(small_data, quick_recipe, trained[0], "--dry-run")) == 0
    table = capsys.readouterr().out
    assert table.count(" done ") == len(MODELS)


def test_another_recipe_or_other_data_raises(
    trained: Trained, small_data: Path, quick_recipe: Path, small_world: Path, tmp_path: Path,
    capsys: Capture,
) -> None:  # fmt: skip
    changed = ["--resume", "--set", "word_match.margin=0.5"]
    message = error_of(capsys, train(small_data, quick_recipe, trained[0], *changed))
    assert "recipe mismatch, word_match.margin was 0.9 and is now 0.5" in message
    message = error_of(capsys, train(small_data, quick_recipe, trained[0], "--resume", "--seed=3"))
    assert "recipe mismatch, seed was 0 and is now 3" in message
    other = prepare_kddcup(small_world, tmp_path / "other", splits=("train", "valid")).path
    message = error_of(capsys, train(other, quick_recipe, trained[0], "--resume"))
    assert "trained on other data" in message


def lines_of(raw: Path) -> list[str]:
    return raw.read_text(encoding="utf-8").splitlines(keepends=True)


@pytest.mark.parametrize(
    ("change", "recipe", "sentence"),
    [
        ("no answers", [], "split 'valid' has no relevance judgements"),
        ("no valid", [], "training needs a split 'valid' (it has: train)"),
        ("one query", [], "all training queries are the same query"),
        ("", ["encoder.attention_heads=5"], "feature width 16 cannot be divided among"
         " encoder.attention_heads = 5"),
        ("", ["dual.direct=true", "dual.heads=32", "dual.width=32"], "feature width 16 cannot be"
         " divided among dual.heads = 32"),
        ("", ["word_match.marginn=1"], "did you mean 'word_match.margin'?"),
    ],
)  # fmt: skip
def test_a_mismatch_raises_before_any_work(
    change: str, recipe: list[str], sentence: str, small_world: Path, quick_recipe: Path,
    tmp_path: Path, capsys: Capture,
) -> None:  # fmt: skip
    raw = tmp_path / "raw"
    shutil.copytree(small_world, raw)
    if change == "no answers":
        (raw / "valid" / "valid_answer.json").unlink()
    if change == "no valid":
        shutil.rmtree(raw / "valid")
        shutil.rmtree(raw / "testA")
    if change == "one query":
        header, *rows = lines_of(raw / "train" / "train.tsv")
        same = ["\t".join([*row.split("\t")[:7], "red dress", "1\n"]) for row in rows]
        (raw / "train" / "train.tsv").write_text(header + "".join(same))
    data = prepare_kddcup(raw, tmp_path / "data").path
    out = tmp_path / "run"
    more = ["--set", *recipe] if recipe else []
    assert sentence in error_of(capsys, train(data, quick_recipe, out, *more))
    assert not out.exists()
