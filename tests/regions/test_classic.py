"""Classic extractor: descriptor groups of regions with known appearance."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from shopsight.config import RegionsConfig
from shopsight.errors import DataError, UsageError
from shopsight.regions import Extractor, extract_regions, load_extractor, make_extractor
from shopsight.regions.classic import ClassicExtractor, descriptors
from shopsight.regions.extractor import SETTINGS
from shopsight.regions.propose import rgb_to_lab

SIDE = 48
GROUPS = {"gradients": 324, "light": 16, "ab": 100, "colours": 45, "spread": 3, "texture": 40}


def group(name: str, patch: np.ndarray) -> np.ndarray:
    """A group of a region's descriptor."""
    ends = np.cumsum(list(GROUPS.values()))
    end = ends[list(GROUPS).index(name)]
    return descriptors(patch[None])[0, end - GROUPS[name] : end]


def patch(colour: tuple[int, int, int] = (200, 30, 40)) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), colour, np.uint8)


def stripes(across: bool) -> np.ndarray:
    rows = np.where(np.arange(SIDE) % 8 < 4, 255, 0).astype(np.uint8)
    photo = np.repeat(np.repeat(rows[:, None, None], SIDE, 1), 3, 2)
    return photo if across else photo.transpose(1, 0, 2).copy()


def test_a_plain_region_has_one_colour_and_no_shape() -> None:
    assert not group("gradients", patch()).any()
    assert group("spread", patch()) == pytest.approx([0, 0, 0], abs=1e-3)
    for name, bins in (("light", 16), ("ab", 100)):
        histogram = group(name, patch())
        assert sorted(histogram)[-2:] == [0, bins]  # all in one bin
    light, a, b = rgb_to_lab(patch())[0, 0]
    cells = group("colours", patch()).reshape(9, 5)
    expected = [light / 50, a / 25, b / 25, 0, 0]
    np.testing.assert_allclose(cells, np.tile(expected, (9, 1)), rtol=1e-4)


def test_colour_groups_depend_on_colour_and_gradients_do_not() -> None:
    red, green = patch((200, 30, 40)), patch((30, 160, 60))
    assert np.abs(group("ab", red) - group("ab", green)).sum() == 200
    assert (group("gradients", red) == group("gradients", green)).all()


def test_gradients_depend_on_orientation() -> None:
    across, down = (group("gradients", stripes(v)).reshape(-1, 9) for v in (True, False))
    assert across.sum(0).argmax() != down.sum(0).argmax()
    np.testing.assert_allclose(across.sum(), down.sum(), rtol=0.1)


def test_texture_separates_noise_from_stripes() -> None:
    rng = np.random.default_rng(0)
    noise = np.repeat(rng.integers(0, 256, (SIDE, SIDE, 1)), 3, 2).astype(np.uint8)
    noisy, striped = group("texture", noise), group("texture", stripes(True))
    assert np.abs(noisy - striped).sum() > 10
    assert noisy.sum() == pytest.approx(40)


def test_extraction_is_independent_of_the_batch_and_survives_saving(tmp_path: Path) -> None:
    extractor = make_extractor(RegionsConfig())
    assert isinstance(extractor, Extractor)
    assert (extractor.name, extractor.width, extractor.in_workers) == (
        "classic",
        sum(GROUPS.values()),
        True,
    )
    assert extractor.width % 16 == 0
    rng = np.random.default_rng(0)
    photos = [
        rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
        for shape in ((80, 60), (1, 1), (3, 700), (1200, 900))
    ]
    together = extractor.extract(photos)
    for photo, regions in zip(photos, together, strict=True):
        (alone,) = extractor.extract([photo])
        np.testing.assert_array_equal(alone.features, regions.features)
        assert regions.features.dtype == np.float32
        assert regions.features.shape == (len(regions), extractor.width)
        assert np.isfinite(regions.features).all()
        assert regions.features.min() >= 0
        assert regions.features.max() <= 1000  # far below the float16 maximum
    extractor.save(tmp_path / "extractor")
    (again,) = load_extractor(tmp_path / "extractor").extract(photos[:1])
    np.testing.assert_array_equal(again.features, together[0].features)
    for folder in (tmp_path, tmp_path / "extractor"):  # prepared folder and extractor folder
        np.testing.assert_array_equal(extract_regions(photos[0], folder).features, again.features)


def test_settings_survive_saving(tmp_path: Path) -> None:
    config = RegionsConfig(max_regions=3, parts="halves")
    make_extractor(config).save(tmp_path)
    loaded = load_extractor(tmp_path)
    assert isinstance(loaded, ClassicExtractor)
    assert loaded.config == config
    again = make_extractor(RegionsConfig(str(tmp_path)))  # by folder
    assert isinstance(again, ClassicExtractor)


HEAD = {"format": SETTINGS.format, "version": SETTINGS.version}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"not a saved region extractor \(no settings.json\)"),
        ("{", "not readable as JSON"),
        ("[]", "not a saved region extractor"),
        (json.dumps({**HEAD, "extractor": "future"}), "unknown extractor 'future'"),
        (json.dumps({**HEAD, "extractor": "classic"}), "extractor saved by another version"),
        (json.dumps({**HEAD, "extractor": "classic", "regions": {"a": 1}}),
         "extractor saved by another"),
        (json.dumps({**HEAD, "extractor": "learned", "network": {"channels": 8, "width": 32}}),
         "extractor saved by another"),
    ],
)  # fmt: skip
def test_unreadable_extractor_folders(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "settings.json").write_text(content)
    with pytest.raises(DataError, match=message):
        load_extractor(tmp_path)


def test_unknown_extractor_is_rejected() -> None:
    with pytest.raises(UsageError, match="unknown extractor 'magic'; expected classic, hf:MODEL"):
        make_extractor(RegionsConfig("magic"))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("gone", name="skimage")

    monkeypatch.setattr("shopsight.regions.import_module", missing)
    with pytest.raises(UsageError, match=r"requires skimage: pip install 'shopsight\[photos\]'"):
        make_extractor(RegionsConfig())
