"""The classic extractor: what its numbers mean, on regions whose looks are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from shopsight.config import RegionsConfig
from shopsight.errors import DataError, UsageError
from shopsight.regions import Extractor, extract_regions, load_extractor, make_extractor
from shopsight.regions.classic import ClassicExtractor, descriptors
from shopsight.regions.propose import rgb_to_lab

SIDE = 48
GROUPS = {"gradients": 324, "light": 16, "ab": 100, "colours": 45, "spread": 3, "texture": 40}


def group(name: str, patch: np.ndarray) -> np.ndarray:
    """One group of a region's numbers."""
    ends = np.cumsum(list(GROUPS.values()))
    place = list(GROUPS).index(name)
    return descriptors(patch[None])[0, ends[place] - GROUPS[name] : ends[place]]


def patch(colour: tuple[int, int, int] = (200, 30, 40)) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), colour, np.uint8)


def stripes(across: bool) -> np.ndarray:
    rows = np.where(np.arange(SIDE) % 8 < 4, 255, 0).astype(np.uint8)
    one = np.repeat(np.repeat(rows[:, None, None], SIDE, 1), 3, 2)
    return one if across else one.transpose(1, 0, 2).copy()


def test_a_plain_region_has_one_colour_and_no_shape() -> None:
    assert not group("gradients", patch()).any()
    assert group("spread", patch()) == pytest.approx([0, 0, 0], abs=1e-3)
    for name, bins in (("light", 16), ("ab", 100)):
        found = group(name, patch())
        assert sorted(found)[-2:] == [0, bins]  # all in one bin
    light, a, b = rgb_to_lab(patch())[0, 0]
    cells = group("colours", patch()).reshape(9, 5)
    expected = [light / 50, a / 25, b / 25, 0, 0]
    np.testing.assert_allclose(cells, np.tile(expected, (9, 1)), rtol=1e-4)


def test_colour_groups_tell_colours_apart_and_shape_does_not() -> None:
    red, green = patch((200, 30, 40)), patch((30, 160, 60))
    assert np.abs(group("ab", red) - group("ab", green)).sum() == 200
    assert (group("gradients", red) == group("gradients", green)).all()


def test_gradients_tell_directions_apart() -> None:
    across, down = (group("gradients", stripes(v)).reshape(-1, 9) for v in (True, False))
    assert across.sum(0).argmax() != down.sum(0).argmax()
    np.testing.assert_allclose(across.sum(), down.sum(), rtol=0.1)


def test_texture_tells_noise_from_stripes_whatever_the_colour() -> None:
    rng = np.random.default_rng(0)
    noise = np.repeat(rng.integers(0, 256, (SIDE, SIDE, 1)), 3, 2).astype(np.uint8)
    found = group("texture", noise), group("texture", stripes(True))
    assert np.abs(found[0] - found[1]).sum() > 10
    assert found[0].sum() == pytest.approx(40)


def test_what_it_says_of_photos(tmp_path: Path) -> None:
    one = make_extractor(RegionsConfig())
    assert isinstance(one, Extractor)
    assert (one.name, one.width, one.in_workers) == ("classic", sum(GROUPS.values()), True)
    assert one.width % 16 == 0
    rng = np.random.default_rng(0)
    photos = [
        rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
        for shape in ((80, 60), (1, 1), (3, 700), (1200, 900))
    ]
    together = one.extract(photos)
    for photo, regions in zip(photos, together, strict=True):
        (alone,) = one.extract([photo])
        np.testing.assert_array_equal(alone.features, regions.features)
        assert regions.features.dtype == np.float32
        assert regions.features.shape == (len(regions), one.width)
        assert np.isfinite(regions.features).all()
        assert regions.features.min() >= 0
        assert regions.features.max() <= 1000  # far from the end of float16
    one.save(tmp_path / "extractor")
    (again,) = load_extractor(tmp_path / "extractor").extract(photos[:1])
    np.testing.assert_array_equal(again.features, together[0].features)
    for folder in (tmp_path, tmp_path / "extractor"):  # a prepared folder, or the extractor's
        np.testing.assert_array_equal(extract_regions(photos[0], folder).features, again.features)


def test_settings_are_kept(tmp_path: Path) -> None:
    config = RegionsConfig(max_regions=3, parts="halves")
    make_extractor(config).save(tmp_path)
    loaded = load_extractor(tmp_path)
    assert isinstance(loaded, ClassicExtractor)
    assert loaded.config == config
    again = make_extractor(RegionsConfig(str(tmp_path)))  # by its folder
    assert isinstance(again, ClassicExtractor)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no saved region extractor"),
        ("{", "not readable as JSON"),
        ("[]", "not region extractor settings"),
        (json.dumps({"extractor": "future"}), "unknown extractor 'future'"),
        (json.dumps({"extractor": "classic"}), "extractor saved by another version"),
        (json.dumps({"extractor": "classic", "regions": {"a": 1}}), "extractor saved by another"),
        (json.dumps({"extractor": "learned", "network": {"channels": 8, "width": 32}}),
         "extractor saved by another"),
    ],
)  # fmt: skip
def test_a_folder_without_a_good_extractor(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "settings.json").write_text(content)
    with pytest.raises(DataError, match=said):
        load_extractor(tmp_path)


def test_an_unknown_extractor_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown extractor 'magic'; expected classic, hf:MODEL"):
        make_extractor(RegionsConfig("magic"))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("gone", name="skimage")

    monkeypatch.setattr("shopsight.regions.import_module", missing)
    with pytest.raises(UsageError, match=r"requires skimage: pip install 'shopsight\[photos\]'"):
        make_extractor(RegionsConfig())
