"""``shopsight rank`` and ``describe``: what training left, put to use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from shopsight.cli.main import main
from shopsight.data.dataset import PreparedData
from shopsight.formats.runs import read_run

Trained = tuple[Path, str]
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    "model", ["", "label-match", "word-match", "sentence-match", "dual", "word+sentence"]
)
def test_a_rank_is_what_training_ranked(
    model: str, trained: Trained, small_data: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "ranked.json"
    command = ["rank", str(trained[0]), str(small_data), "--split", "testA", "--out", str(out)]
    assert main([*command, *(["--model", model] if model else []), "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert output == {
        "model": model or "ensemble",
        "queries": 40,
        "pairs": 1200,
        "out": str(out),
    }
    kept = read_run(trained[0] / "runs" / f"testA-{model or 'ensemble'}.json")
    actual = read_run(out)
    assert actual.pools.product_ids.tolist() == kept.pools.product_ids.tolist()
    assert actual.scores == pytest.approx(kept.scores, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"--model": "dul"}, "did you mean 'dual'?"),
        ({"--split": "testB"}, "no pools of split 'testB'"),
        ({"--split": "train"}, "no pools of split 'train'"),
        ({"--out": "ranked.xyz"}, "the ending does not tell the format"),
        ({"RUN": "nowhere"}, "not a run folder"),
    ],
)
def test_rank_raises(
    change: dict[str, str], sentence: str, trained: Trained, small_data: Path, capsys: Capture
) -> None:
    options = {"--split": "valid", "--out": "ranked.json", **change}
    run = options.pop("RUN", str(trained[0]))
    words = [word for pair in options.items() for word in pair]
    assert main(["rank", run, str(small_data), *words]) == 2
    assert sentence in capsys.readouterr().err


def test_describe_gives_tags_and_captions(
    trained: Trained, small_data: Path, capsys: Capture
) -> None:
    products = PreparedData.open(small_data).store.product_ids[:3]
    command = ["describe", str(trained[0]), str(small_data), "--product", *products]
    assert main([*command, "--tags", "4", "--beam", "3", "--json"]) == 0
    actual = json.loads(capsys.readouterr().out)
    assert list(actual) == products
    for product in actual.values():
        chances = list(product["tags"].values())
        assert len(chances) == 4
        assert chances == sorted(chances, reverse=True)
        assert all(0 <= chance <= 1 for chance in chances)
        likely = list(product["captions"].values())
        assert 1 <= len(likely) <= 3
        assert likely == sorted(likely, reverse=True)
        assert all(value <= 0 for value in likely)
    assert main([*command, "--beam", "1"]) == 0
    table = capsys.readouterr().out
    assert all(product in table for product in products)


def test_punctuation_and_pieces_are_no_tags(
    small_world: Path, quick_recipe: Path, tmp_path: Path, capsys: Capture
) -> None:
    raw, data, run = tmp_path / "raw", str(tmp_path / "data"), str(tmp_path / "run")
    shutil.copytree(small_world, raw)
    header, *rows = (raw / "train" / "train.tsv").read_text(encoding="utf-8").splitlines()
    cells = [row.split("\t") for row in rows]
    # Every query has marks that stay in the vocabulary; the last ones are cut into pieces.
    ends = [f"{cell[7]} , & 5% {'qzx' * (i % 9 == 0)}" for i, cell in enumerate(cells)]
    lines = [header, *("\t".join([*c[:7], end, c[8]]) for c, end in zip(cells, ends, strict=True))]
    (raw / "train" / "train.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert main(["prepare", "kddcup", str(raw), "--out", data, "--quiet"]) == 0
    train = ["train", data, "--recipe", str(quick_recipe), "--out", run, "--threads", "1"]
    assert main([*train, "--quiet", "--stages", "label-match"]) == 0
    vocabulary = PreparedData.open(data).vocabulary()
    (marks,) = vocabulary.encode([", & 5%"])
    assert {vocabulary.tokens[i] for i in marks} == {",", "&", "5", "%"}
    product = PreparedData.open(data).store.product_ids[0]
    capsys.readouterr()
    assert main(["describe", run, data, "--product", product, "--tags", "9999", "--json"]) == 0
    tags = set(json.loads(capsys.readouterr().out)[product]["tags"])
    assert "5" in tags
    assert len(tags) > 20
    assert not tags & {",", "&", "%", "-", "'"}
    assert not any(tag.startswith("##") for tag in tags)


def test_describe_takes_random_products_of_a_split(
    trained: Trained, small_data: Path, capsys: Capture
) -> None:
    command = ["describe", str(trained[0]), str(small_data), "--split", "valid", "--json"]
    drawn = []
    for seed in ("0", "0", "1"):
        assert main([*command, "--seed", seed]) == 0
        drawn.append(list(json.loads(capsys.readouterr().out)))
    pool = set(PreparedData.open(small_data).pools("valid").product_ids.tolist())
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 5
    assert set(drawn[0]) <= pool


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "name products with --product, or a split with --split"),
        (["--product", "nothing"], "no product 'nothing'"),
        (["--split", "valid", "--beam", "0"], "must be at least 1"),
    ],
)
def test_describe_raises(
    options: list[str], sentence: str, trained: Trained, small_data: Path, capsys: Capture
) -> None:
    assert main(["describe", str(trained[0]), str(small_data), *options]) == 2
    assert sentence in capsys.readouterr().err
