"""Features of another extractor are not those that models were trained on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from photoshop import items, write_csv
from shopsight.data.dataset import PreparedData
from shopsight.data.features import check_features, feature_source
from shopsight.errors import DataError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """A few photos with classic regions."""
    import shopsight as ss

    folder = tmp_path_factory.mktemp("features")
    table = write_csv(folder, items(40))
    settings = {"word_products": 3, "word_fraction": 0.0, "workers": 1, "max_regions": 2}
    return ss.prepare_photos(table, folder / "data", "title", **settings)


def test_same_features(data: PreparedData) -> None:
    source = feature_source(data.path, data.manifest["files"])
    assert source == {"extractor": "classic", "weights": {}}
    check_features(data, data.store.width, source, "run")
    check_features(data, data.store.width, {}, "run")  # unknown: features of the competition


@pytest.mark.parametrize(
    ("theirs", "sentence"),
    [
        ({"extractor": "hf:other"}, r"extractor 'classic', .* trained on those of 'hf:other'"),
        ({"weights": {"extractor/model.safetensors": "00"}}, "trained on another one of that kind"),
    ],
)
def test_other_extractor(data: PreparedData, theirs: dict[str, object], sentence: str) -> None:
    source = feature_source(data.path, data.manifest["files"]) | theirs
    with pytest.raises(DataError, match=sentence):
        check_features(data, data.store.width, source, "run")


def test_other_width(data: PreparedData) -> None:
    with pytest.raises(
        DataError, match=r"feature dimension is \d+, but the models of RUN .* with 9"
    ):
        check_features(data, 9, {}, "RUN")


def test_numbers_of_regions_are_free(data: PreparedData, tmp_path: Path) -> None:
    shutil.copytree(data.path / "extractor", tmp_path / "extractor")
    path = tmp_path / "extractor" / "settings.json"
    saved = json.loads(path.read_text())
    saved["regions"] |= {"max_regions": 12, "batch": 1}
    path.write_text(json.dumps(saved))
    assert feature_source(tmp_path, {}) == feature_source(data.path, {})
    assert feature_source(tmp_path / "nothing", {}) == {}
