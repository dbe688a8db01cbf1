"""Learned regions: that they learn, are the same again, and say what they cannot learn from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from shopsight.config import LearnConfig, RegionsConfig
from shopsight.errors import DataError, UsageError
from shopsight.regions import Extractor, Photo, learn_extractor, load_extractor
from shopsight.regions.letterbox import letterbox
from shopsight.regions.network import RegionNetwork, normalise_pixels
from shopsight.regions.roi_pool import roi_pool
from shopsight.regions.train_extractor import augment, label_matrix, word_loss

SHAPES = ("square", "bar", "cross")
COLOURS = {"red": (210, 40, 40), "blue": (40, 70, 210), "green": (50, 160, 70)}
CONFIG = LearnConfig(
    RegionsConfig(max_regions=4),
    epochs=6,
    batch=16,
    lr=1e-2,
    size=32,
    channels=8,
    width=64,
    threads=1,
)


def shop(count: int, seed: int) -> tuple[list[Photo], list[list[str]]]:
    """Photos of coloured shapes, and the words for them."""
    rng = np.random.default_rng(seed)
    photos, words = [], []
    for _ in range(count):
        shape, colour = rng.choice(SHAPES), rng.choice(list(COLOURS))
        photo = np.full((40, 32, 3), 245, np.uint8)
        top, left = rng.integers(4, 14, 2)
        area = photo[top : top + 18, left : left + 16]
        if shape == "square":
            area[:] = COLOURS[colour]
        elif shape == "bar":
            area[6:12] = COLOURS[colour]
        else:
            area[7:11] = COLOURS[colour]
            area[:, 6:10] = COLOURS[colour]
        photos.append(photo)
        words.append([str(colour), str(shape), "new"])
    return photos, words


@pytest.fixture(scope="module")
def learned() -> tuple[Extractor, list[str]]:
    said: list[str] = []
    return learn_extractor(*shop(240, 0), CONFIG, 5, said.append), said


def nearest(train: np.ndarray, names: list[str], test: np.ndarray) -> list[str]:
    """For each test row, the name of the train row that lies in its direction most."""
    unit = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (train, test)]
    return [names[i] for i in (unit[1] @ unit[0].T).argmax(1)]


def test_its_features_know_colours_and_shapes_of_new_photos(
    learned: tuple[Extractor, list[str]],
) -> None:
    one, said = learned
    assert len(said) == CONFIG.epochs
    assert said[-1].startswith("epoch 6 of 6, loss ")
    assert isinstance(one, Extractor)
    assert (one.name, one.width, one.in_workers) == ("learned", 64, False)
    (photos, words), (new, truth) = shop(240, 0), shop(60, 1)
    train, test = (
        np.stack([regions.features[0] for regions in one.extract(some)]) for some in (photos, new)
    )
    for place in (0, 1):
        guessed = nearest(train, [w[place] for w in words], test)
        right = np.mean([a == b[place] for a, b in zip(guessed, truth, strict=True)])
        assert right > 0.75


def test_regions_of_any_photo(learned: tuple[Extractor, list[str]], tmp_path: Path) -> None:
    one, _ = learned
    rng = np.random.default_rng(0)
    photos = [
        rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
        for shape in ((40, 32), (1, 1), (30, 200), (500, 300))
    ]
    one.save(tmp_path / "extractor")
    loaded = load_extractor(tmp_path / "extractor")
    for photo, regions, again in zip(
        photos, one.extract(photos), loaded.extract(photos), strict=True
    ):
        assert regions.features.shape == (len(regions), 64)
        assert np.isfinite(regions.features).all()
        assert regions.features.min() >= 0
        np.testing.assert_array_equal(regions.features, again.features)
        (alone,) = one.extract([photo])  # the size of a batch changes nothing
        np.testing.assert_allclose(alone.features, regions.features, atol=1e-5)


def test_the_same_seed_learns_the_same_and_leaves_no_trace() -> None:
    config = LearnConfig(
        RegionsConfig(max_regions=2), epochs=1, batch=16, size=32, channels=8, width=32
    )
    torch.manual_seed(3)
    before, threads = torch.rand(1), torch.get_num_threads()
    torch.manual_seed(3)
    photos, words = shop(40, 2)
    first, second, other = (
        learn_extractor(photos, words, config, seed).extract(photos[:2]) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first[0].features, second[0].features)
    assert (first[0].features != other[0].features).any()
    assert torch.equal(torch.rand(1), before)
    assert torch.get_num_threads() == threads


class Counting(list):  # type: ignore[type-arg]
    """Photos that count how often they are read."""

    reads = 0

    def __getitem__(self, place: int) -> Photo:  # type: ignore[override]
        self.reads += 1
        return super().__getitem__(place)  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[Photo]:
        raise AssertionError("photos are read by their place")


def test_of_many_photos_only_some_are_read() -> None:
    photos, words = shop(60, 3)
    counting = Counting(photos)
    config = LearnConfig(
        RegionsConfig(max_regions=2),
        1,
        8,
        size=32,
        channels=8,
        width=32,
        min_products=2,
        max_photos=20,
    )
    learn_extractor(counting, words, config)
    assert counting.reads <= 3 * 20  # once for the shape of the canvas (two sides), once for good


def test_labels_are_the_frequent_words() -> None:
    words = [["red", "hat", "hat"], ["red", "sock"], ["red", "sock", "blue"]]
    rows = label_matrix(words, LearnConfig(min_products=2))
    assert rows.tolist() == [[1, 0], [1, 1], [1, 1]]  # red, sock
    assert label_matrix(words, LearnConfig(min_products=1, max_words=3)).shape == (3, 3)


def test_nothing_to_learn_from_is_said() -> None:
    with pytest.raises(UsageError, match="fewer than two words occur on at least 8 of 3 photos"):
        learn_extractor(shop(3, 0)[0], [["a"], ["b"], ["c"]], LearnConfig())
    with pytest.raises(UsageError, match="size must be at least 32"):
        LearnConfig(size=8)


def test_the_loss_by_hand() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 3.0]])
    labels = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    logs = logits.log_softmax(1)
    expected = -((logs[0, 0] + logs[0, 1]) / 2 + logs[1, 2]) / 2
    assert word_loss(logits, labels).item() == pytest.approx(expected.item())


def test_augment_photos_keep_their_colours_about() -> None:
    torch.manual_seed(0)
    photo = np.full((1, 32, 32, 3), (200, 60, 60), np.uint8)
    seen = normalise_pixels(torch.from_numpy(photo.repeat(50, axis=0)))
    found = augment(seen, (16, 24))
    assert found.shape == (50, 3, 16, 24)
    assert not torch.equal(found[0], found[1])
    assert (found[:, 0] > found[:, 1]).all()  # still red


def test_pooling_equals_points_one_by_one() -> None:
    torch.manual_seed(0)
    maps = torch.rand(1, 2, 5, 4)
    boxes = torch.tensor([[[0.1, 0.2, 0.9, 0.7]]])
    sums = torch.zeros(2)
    for i in range(7):
        for j in range(7):
            y = (0.1 + 0.8 * (i + 0.5) / 7) * 5 - 0.5
            x = (0.2 + 0.5 * (j + 0.5) / 7) * 4 - 0.5
            y, x = min(max(y, 0), 4), min(max(x, 0), 3)
            top, left = min(int(y), 3), min(int(x), 2)
            for a, down in ((top, 1 - (y - top)), (top + 1, y - top)):
                for b, across in ((left, 1 - (x - left)), (left + 1, x - left)):
                    sums += maps[0, :, a, b] * down * across
    torch.testing.assert_close(roi_pool(maps, boxes)[0, 0], sums / 49)


def test_a_canvas_there_and_back() -> None:
    photo = np.zeros((30, 90, 3), np.uint8)
    photo[0] = 255
    one = letterbox(photo, 60, 60)
    assert one.pixels.shape == (60, 60, 3)
    boxes = np.array([[0, 0, 30, 90], [5, 10, 20, 50]], np.float32)
    shares = one.to_relative(boxes)
    assert shares[0].tolist() == pytest.approx([20 / 60, 0, 40 / 60, 1])
    np.testing.assert_allclose(one.to_pixels(shares), boxes, atol=1e-4)


def test_networks_of_any_width() -> None:
    network = RegionNetwork(8, 48)
    seen = torch.rand(2, 3, 40, 32)
    assert network.whole(seen).shape == (2, 48)
    assert network.regions(seen, torch.rand(2, 3, 4)).shape == (2, 3, 48)


def test_weights_that_do_not_fit_are_refused(
    learned: tuple[Extractor, list[str]], tmp_path: Path
) -> None:
    learned[0].save(tmp_path)
    path = tmp_path / "settings.json"
    path.write_text(path.read_text().replace('"width": 64', '"width": 80'))
    with pytest.raises(DataError, match="extractor saved by another version"):
        load_extractor(tmp_path)
