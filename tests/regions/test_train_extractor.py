"""Learned extractor: quality, determinism and errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from shopsight.config import LearnConfig, RegionsConfig
from shopsight.errors import DataError, UsageError
from shopsight.regions import (
    Extractor,
    Photo,
    learn_extractor,
    load_extractor,
    make_extractor,
)
from shopsight.regions.letterbox import letterbox
from shopsight.regions.region_network import RegionNetwork
from shopsight.regions.roi_pool import roi_pool
from shopsight.regions.starts import LITE_PACKAGE, resolve
from shopsight.regions.train_extractor import augment, label_matrix, word_loss
from shopsight.regions.word_head import FILE, WordHead

SHAPES = ("square", "bar", "cross")
COLOURS = {"red": (210, 40, 40), "blue": (40, 70, 210), "green": (50, 160, 70)}
TWO_REGIONS = RegionsConfig(max_regions=2)
CONFIG = LearnConfig(
    RegionsConfig(max_regions=4),
    epochs=6,
    batch=16,
    lr=1e-2,
    start="scratch",
    sizes=(32,),
    channels=8,
    width=64,
    threads=1,
)


def shop(count: int, seed: int) -> tuple[list[Photo], list[list[str]]]:
    """Photos of coloured shapes and their words."""
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
    lines: list[str] = []

    def note(stage: str, done: int, total: int) -> None:
        assert stage.startswith("learning")
        assert 0 < done <= total == 6 * 240
        lines.extend([stage] if ": " in stage else [])

    return learn_extractor(*shop(240, 0), CONFIG, 5, note), lines


def nearest(train: np.ndarray, names: list[str], test: np.ndarray) -> list[str]:
    """Name of the nearest train row (cosine) of each test row."""
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (train, test)]
    return [names[i] for i in (unit[1] @ unit[0].T).argmax(1)]


def test_features_predict_colours_and_shapes_of_new_photos(
    learned: tuple[Extractor, list[str]],
) -> None:
    extractor, lines = learned
    assert len(lines) == CONFIG.epochs
    assert lines[-1].startswith("learning: epoch 6 of 6, loss ")
    assert isinstance(extractor, Extractor)
    assert (extractor.name, extractor.width, extractor.in_workers) == ("learned", 64, False)
    (photos, words), (new, truth) = shop(240, 0), shop(60, 1)
    train, test = (
        np.stack([regions.features[0] for regions in extractor.extract(batch)])
        for batch in (photos, new)
    )
    for attribute in (0, 1):
        predicted = nearest(train, [w[attribute] for w in words], test)
        accuracy = np.mean([a == b[attribute] for a, b in zip(predicted, truth, strict=True)])
        assert accuracy > 0.75


def test_regions_of_any_photo(learned: tuple[Extractor, list[str]], tmp_path: Path) -> None:
    extractor, _ = learned
    rng = np.random.default_rng(0)
    photos = [
        rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
        for shape in ((40, 32), (1, 1), (30, 200), (500, 300))
    ]
    extractor.save(tmp_path / "extractor")
    loaded = load_extractor(tmp_path / "extractor")
    for photo, regions, again in zip(
        photos, extractor.extract(photos), loaded.extract(photos), strict=True
    ):
        assert regions.features.shape == (len(regions), 64)
        assert np.isfinite(regions.features).all()
        assert regions.features.min() >= 0
        np.testing.assert_array_equal(regions.features, again.features)
        (alone,) = extractor.extract([photo])  # independent of the batch size
        np.testing.assert_allclose(alone.features, regions.features, atol=1e-5)


def test_training_is_seeded_and_restores_the_global_state() -> None:
    config = replace(CONFIG, regions=TWO_REGIONS, epochs=1, threads=0)
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
    """Photos that count reads."""

    reads = 0

    def __getitem__(self, index: int) -> Photo:  # type: ignore[override]
        self.reads += 1
        return super().__getitem__(index)  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[Photo]:
        raise AssertionError("photos are read by index")


def test_only_a_sample_of_the_photos_is_read() -> None:
    photos, words = shop(60, 3)
    counting = Counting(photos)
    config = replace(CONFIG, epochs=1, batch=8, min_products=2, max_photos=20)
    learn_extractor(counting, words, config)
    assert counting.reads <= 3 * 20  # twice for the aspect ratio, once for the pixels


def test_labels_are_the_frequent_words() -> None:
    words = [["red", "hat", "hat"], ["red", "sock"], ["red", "sock", "blue"]]
    names, rows = label_matrix(words, LearnConfig(min_products=2))
    assert names == ["red", "sock"]
    assert rows.tolist() == [[1, 0], [1, 1], [1, 1]]
    names, _ = label_matrix(words, LearnConfig(min_products=1, max_words=3))
    assert names == ["red", "sock", "blue"]


def test_too_few_frequent_words_is_an_error() -> None:
    with pytest.raises(UsageError, match="fewer than two words occur on at least 8 of 3 photos"):
        learn_extractor(shop(3, 0)[0], [["a"], ["b"], ["c"]], LearnConfig())
    with pytest.raises(UsageError, match="sizes must be numbers of pixels from 32 to 1024"):
        LearnConfig(sizes=(8,))


def test_the_loss_by_hand() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 3.0]])
    labels = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    logs = logits.log_softmax(1)
    expected = -((logs[0, 0] + logs[0, 1]) / 2 + logs[1, 2]) / 2
    assert word_loss(logits, labels).item() == pytest.approx(expected.item())


def test_augmented_photos_keep_their_colours() -> None:
    torch.manual_seed(0)
    photos = torch.zeros(50, 3, 32, 32)
    photos[:, 0, :, 20:] = 1
    augmented = augment(photos, (16, 24))
    assert augmented.shape == (50, 3, 16, 24)
    assert not torch.equal(augmented[0], augmented[1])
    assert augmented[:, 1:].abs().max() == 0  # still red
    assert augmented[:, 0].min() >= 0
    assert augmented[:, 0].max() <= 1
    left = augmented[:, 0, :, :12].mean((1, 2)) > 0.5
    assert 10 < left.sum() < 40  # about half are flipped


def test_roi_pool_equals_pointwise_interpolation() -> None:
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


def test_letterbox_maps_boxes_both_ways() -> None:
    photo = np.zeros((30, 90, 3), np.uint8)
    photo[0] = 255
    boxed = letterbox(photo, 60, 60)
    assert boxed.pixels.shape == (60, 60, 3)
    boxes = np.array([[0, 0, 30, 90], [5, 10, 20, 50]], np.float32)
    relative = boxed.to_relative(boxes)
    assert relative[0].tolist() == pytest.approx([20 / 60, 0, 40 / 60, 1])
    np.testing.assert_allclose(boxed.to_pixels(relative), boxes, atol=1e-4)


def test_networks_of_any_width() -> None:
    network = RegionNetwork((40, 32), 8, 48)
    maps = network.maps(torch.rand(2, 3, 40, 32))
    assert network.whole(maps).shape == (2, 48)
    assert network.regions(maps, torch.rand(2, 3, 4)).shape == (2, 3, 48)


def test_damaged_extractors_are_rejected(
    learned: tuple[Extractor, list[str]], tmp_path: Path
) -> None:
    learned[0].save(tmp_path)
    settings = tmp_path / "settings.json"
    good = settings.read_text()
    settings.write_text(good.replace('"width": 64', '"width": 80'))
    with pytest.raises(DataError, match=r"weights.safetensors: last.0.0.weight has shape"):
        load_extractor(tmp_path)
    settings.write_text(good.replace('"canvas"', '"canvases"'))
    with pytest.raises(DataError, match="extractor saved by another version"):
        load_extractor(tmp_path)
    settings.write_text(good)
    for name in ("network-0/weights.safetensors", FILE):
        path = tmp_path / name
        content = path.read_bytes()
        for bad in (content[:100], content[:-10], b""):
            path.write_bytes(bad)
            with pytest.raises(DataError, match=f"{name}: damaged"):
                load_extractor(tmp_path)
        path.write_bytes(content)
    load_extractor(tmp_path)


class _Killed(Exception):
    pass


@pytest.mark.parametrize("stop", [2, 7, 11, 14])
def test_an_interrupted_training_resumes_exactly(
    stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shopsight.regions.train_extractor._CHECKPOINT_STEPS", 3)
    config = replace(CONFIG, epochs=2, sizes=(32, 48))
    photos, words = shop(64, 4)
    steps = 0

    def kill(stage: str, done: int, total: int) -> None:
        nonlocal steps
        steps += 1
        if steps == stop:
            raise _Killed

    with pytest.raises(_Killed):
        learn_extractor(photos, words, config, 1, kill, tmp_path)
    done = steps - 1
    resumed = learn_extractor(photos, words, config, 1, kill, tmp_path)
    assert steps - done <= 16 - done + 3 + 1  # at most three steps are repeated
    whole = learn_extractor(photos, words, config, 1)
    assert resumed.width == 2 * CONFIG.width
    for a, b in zip(resumed.extract(photos[:3]), whole.extract(photos[:3]), strict=True):
        np.testing.assert_array_equal(a.features, b.features)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "learning-0.safetensors").write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"learning-0.safetensors: damaged"):
        learn_extractor(*shop(40, 0), replace(CONFIG, epochs=1), 0, folder=tmp_path)


def test_the_word_head_reads_the_feature_of_the_whole_photo(
    learned: tuple[Extractor, list[str]], tmp_path: Path
) -> None:
    learned[0].save(tmp_path)
    head = WordHead.load(tmp_path)
    photos, words = shop(60, 1)
    features = np.stack([regions.features[0] for regions in learned[0].extract(photos)])
    logs = head(torch.from_numpy(features))
    torch.testing.assert_close(logs.exp().sum(1), torch.ones(60))
    for names in (list(COLOURS), list(SHAPES)):
        columns = [head.words.index(name) for name in names]
        best = [names[i] for i in logs[:, columns].argmax(1).tolist()]
        hits = [name in own for name, own in zip(best, words, strict=True)]
        assert np.mean(hits) > 0.75


def test_a_hugging_face_backbone_is_fine_tuned(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = transformers.ResNetModel(
        transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 24], depths=[1, 1])
    )
    model.save_pretrained(tmp_path / "resnet")
    config = replace(CONFIG, start=f"hf:{tmp_path / 'resnet'}", epochs=1, lr=1e-3)
    photos, words = shop(48, 0)
    extractor = learn_extractor(photos, words, config)
    assert (extractor.name, extractor.width) == ("learned", 32)
    extractor.save(tmp_path / "saved")
    again = load_extractor(tmp_path / "saved").extract(photos[:2])
    plain = make_extractor(RegionsConfig(f"hf:{tmp_path / 'resnet'}", size=32, max_regions=4))
    for tuned, loaded, untuned in zip(
        extractor.extract(photos[:2]), again, plain.extract(photos[:2]), strict=True
    ):
        np.testing.assert_array_equal(tuned.features, loaded.features)
        assert np.abs(tuned.features - untuned.features).max() > 1e-3
    weights = tmp_path / "saved" / "network-0" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(DataError, match="cannot load model"):
        load_extractor(tmp_path / "saved")


def test_published_weights_are_the_start() -> None:
    pytest.importorskip(LITE_PACKAGE)
    config = resolve(LearnConfig(threads=1, regions=TWO_REGIONS))
    assert (config.start, config.epochs, config.lr) == ("efficientnet-lite0", 8, 5e-4)
    extractor = learn_extractor(*shop(32, 0), replace(config, sizes=(32,), epochs=1, batch=16))
    assert extractor.width == 1280
