"""Region sources, from a table of photos to a ranking."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from photoshop import items, write_csv
from shopsight.api.ranker import open_ranker
from shopsight.api.search import open_index
from shopsight.cli.main import main
from shopsight.config import LearnConfig, RegionsConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import UsageError
from shopsight.formats.images import decode_photo
from shopsight.formats.runs import read_run
from shopsight.inference.ensemble import save_ensembles
from shopsight.regions import extract_regions
from shopsight.regions.factory import region_source
from shopsight.regions.word_head import WordHead
from shopsight.text.normalise import singular, words

SHOP = items(90)
ASKED = [
    "--word-products",
    "3",
    "--word-fraction",
    "0",
    "--workers",
    "1",
    "--quiet",
    "--max-regions",
    "3",
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_csv(tmp_path_factory.mktemp("shop"), SHOP))


def prepared(table: str, out: Path, *options: str) -> PreparedData:
    command = ["prepare", "photos", table, "--text", "title", "--out", str(out)]
    assert main([*command, *ASKED, *options]) == 0
    return PreparedData.open(out)


def assert_ranks(data: PreparedData, recipe: Path, out: Path) -> None:
    command = ["train", str(data.path), "--recipe", str(recipe), "--out", str(out)]
    assert main([*command, "--stages", "dual", "--threads", "1", "--quiet"]) == 0
    run = json.loads((out / "runs" / "valid-dual.json").read_text())
    assert set(run) == set(data.pools("valid").query_ids)


def assert_new_photos_match_stored(data: PreparedData) -> None:
    """Extracting a stored photo again yields the stored regions."""
    photos = data.photos
    assert photos is not None
    for product in (0, 41, 89):
        jpeg = photos.jpeg(product)
        assert jpeg is not None
        again = extract_regions(decode_photo(jpeg), data.path)
        stored = data.store.read([product])
        np.testing.assert_allclose(again.features, stored.features, rtol=2e-3, atol=2e-3)
        np.testing.assert_array_equal(again.labels, stored.labels)


def assert_its_word_head_ranks(data: PreparedData, recipe: Path, folder: Path) -> None:
    """It is a member of the ensemble, indexed, and ranks like the features that are stored."""
    run, index = folder / "both", folder / "index"
    command = ["train", str(data.path), "--recipe", str(recipe), "--out", str(run), "--quiet"]
    assert main([*command, "--stages", "photo-label", "dual", "--threads", "1"]) == 0
    ranker = open_ranker(run)
    assert ranker.models == ["photo-label", "dual"]
    ensemble = ranker.ensembles["ensemble"]
    assert {*ensemble.weights, *ensemble.dropped} == {"photo-label", "dual"}
    both = replace(ensemble, weights={"photo-label": 0.5, "dual": 0.5}, dropped=())
    save_ensembles([both], run)
    before = read_run(run / "runs" / "valid-photo-label.json").to_dict()
    head = WordHead.load(data.path / "extractor")
    query, product = next((q, p) for q, row in before.items() for p in row)
    text = dict(zip(data.queries("valid").ids, data.queries("valid").texts, strict=True))[query]
    features = torch.from_numpy(data.regions([product]).features[:1])
    columns = [head.words.index(word) for word in map(singular, words(text))]
    expected = head(features)[0, columns].mean().item()
    assert before[query][product] == pytest.approx(expected, abs=1e-4)
    assert main(["index", "build", str(run), str(data.path), "--out", str(index), "--quiet"]) == 0
    with open_index(index) as opened:
        assert opened.generation.models.keys() == {"photo-label", "dual"}
        assert len(opened.search("red dress", k=3)) == 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_backbone_and_detector(
    table: str, tmp_path: Path, quick_recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    backbone, detector = str(tmp_path / "resnet"), str(tmp_path / "yolos")
    transformers.ResNetModel(
        transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 24], depths=[1, 1])
    ).save_pretrained(backbone)
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    transformers.YolosForObjectDetection(
        transformers.YolosConfig(
            **size,
            intermediate_size=16,
            image_size=[32, 32],
            num_detection_tokens=4,
            id2label={0: "dress", 1: "shoe"},
        )
    ).save_pretrained(detector)
    options = ["--extractor", f"hf:{backbone}", "--detector", detector, "--threshold", "0.3"]
    options += ["--size", "32"]
    data = prepared(table, tmp_path / "data", *options, "--batch", "8")
    alone = prepared(table, tmp_path / "alone", *options, "--batch", "1")
    np.testing.assert_allclose(
        data.store.read(range(90)).features, alone.store.read(range(90)).features, atol=2e-3
    )
    assert data.manifest["extractor"]["name"] == f"hf:{backbone}"
    assert {"dress", "shoe"} <= set(data.manifest["extractor"]["label_names"])
    assert_new_photos_match_stored(data)
    assert_ranks(data, quick_recipe, tmp_path / "run")


def test_learned_extractor(table: str, tmp_path: Path, quick_recipe: Path) -> None:
    small = ["--learning.epochs", "1", "--learning.channels", "8", "--learning.width", "32"]
    small += ["--learning.sizes", "32", "--learning.threads", "1", "--learning.min-products", "3"]
    small += ["--learning.start", "scratch"]
    data = prepared(table, tmp_path / "data", "--learn", *small)
    assert data.manifest["extractor"]["name"] == "learned"
    assert data.store.width == 32
    assert_new_photos_match_stored(data)
    assert_ranks(data, quick_recipe, tmp_path / "run")
    assert_its_word_head_ranks(data, quick_recipe, tmp_path)
    again = prepared(table, tmp_path / "again", "--extractor", str(data.path))
    same = "features-00000.npy"
    assert (again.path / same).read_bytes() == (data.path / same).read_bytes()


def test_two_processes_equal_one(table: str, tmp_path: Path) -> None:
    serial = prepared(table, tmp_path / "one")
    parallel = prepared(table, tmp_path / "two", "--workers", "2")
    assert serial.manifest["files"] == parallel.manifest["files"]
    assert_new_photos_match_stored(serial)


def test_source_settings_exclude_batch_and_device() -> None:
    fast = region_source("hf:x", RegionsConfig(batch=64, device="cuda"))
    assert fast.settings == region_source("hf:x", RegionsConfig()).settings
    assert fast.settings != region_source("hf:x", RegionsConfig(max_regions=3)).settings
    learned = region_source("classic", learning=LearnConfig(threads=2))
    assert learned.settings == region_source("classic", learning=LearnConfig()).settings
    assert learned.settings["name"] == "learned"
    assert region_source("features").precomputed
    with pytest.raises(
        UsageError, match="--learn trains its own extractor; drop it or --extractor hf:x"
    ):
        region_source("hf:x", learning=LearnConfig())
