"""Hugging Face backbones and detectors, tested on tiny random models saved by the tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from shopsight.config import RegionsConfig
from shopsight.errors import DataError, UsageError
from shopsight.regions import Extractor, Photo, load_extractor, make_extractor
from shopsight.regions.detector import class_scores
from shopsight.regions.propose import LABELS

transformers = pytest.importorskip("transformers")

TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


def backbones() -> dict[str, Any]:
    """A tiny random model of every architecture named in the docs."""
    t = transformers
    text = {**TINY, "vocab_size": 50, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    seeing = {**TINY, "image_size": 64, "patch_size": 16}
    return {
        "resnet": t.ResNetModel(
            t.ResNetConfig(embedding_size=8, hidden_sizes=[8, 24], depths=[1, 1])
        ),
        "convnext": t.ConvNextModel(
            t.ConvNextConfig(hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 1, 1], num_stages=4)
        ),
        "dinov2": t.Dinov2Model(t.Dinov2Config(**{**TINY, "image_size": 56, "patch_size": 14})),
        "vit": t.ViTModel(t.ViTConfig(**seeing), add_pooling_layer=False),
        "swin": t.SwinModel(
            t.SwinConfig(
                image_size=64,
                patch_size=4,
                embed_dim=8,
                depths=[1, 1],
                num_heads=[1, 1],
                window_size=2,
            )
        ),
        "siglip": t.SiglipModel(t.SiglipConfig(text_config=text, vision_config=seeing)),
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of the tiny models; two have a preprocessor configuration."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("models")
    for name, model in backbones().items():
        model.save_pretrained(root / name)
    for name, size in (
        ("resnet", {"shortest_edge": 64}),
        ("convnext", {"height": 64, "width": 64}),
    ):
        settings = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "size": size}
        (root / name / "preprocessor_config.json").write_text(json.dumps(settings))
    classes = {"id2label": {0: "dress", 1: "shoe", 2: "bag"}}
    detectors = {
        "yolos": transformers.YolosForObjectDetection(
            transformers.YolosConfig(**TINY, image_size=[64, 64], num_detection_tokens=9, **classes)
        ),
        "bert": transformers.BertModel(transformers.BertConfig(**TINY, vocab_size=50)),
    }
    for name, model in detectors.items():
        model.save_pretrained(root / name)
    return {path.name: str(path) for path in root.iterdir()}


@pytest.fixture
def photos() -> list[Photo]:
    rng = np.random.default_rng(0)
    made = []
    for height, width in ((80, 60), (40, 90), (64, 64), (200, 150), (7, 5)):
        photo = np.full((height, width, 3), 250, np.uint8)
        inner = photo[height // 4 : -height // 4, width // 4 : -width // 4]
        inner[:] = rng.integers(0, 255, inner.shape)
        made.append(photo)
    return made


@pytest.mark.parametrize(
    ("name", "width"),
    [("resnet", 32), ("convnext", 48), ("dinov2", 32), ("vit", 32), ("swin", 32), ("siglip", 32)],
)
def test_every_backbone_extracts_regions(
    folders: dict[str, str], photos: list[Photo], tmp_path: Path, name: str, width: int
) -> None:
    extractor = make_extractor(RegionsConfig(f"hf:{folders[name]}", max_regions=5))
    assert isinstance(extractor, Extractor)
    assert extractor.width == width
    assert not extractor.in_workers
    extracted = extractor.extract(photos)
    for photo, regions in zip(photos, extracted, strict=True):
        assert regions.features.shape == (len(regions), width)
        assert np.isfinite(regions.features).all()
        assert (regions.features >= 0).all()
        assert regions.boxes[0].tolist() == [0, 0, *photo.shape[:2]]
    extractor.save(tmp_path / "extractor")
    again = load_extractor(tmp_path / "extractor").extract(photos)
    for first, second in zip(extracted, again, strict=True):
        np.testing.assert_array_equal(first.boxes, second.boxes)
        np.testing.assert_allclose(first.features, second.features, atol=1e-5)


def test_results_do_not_depend_on_the_batch_size(
    folders: dict[str, str], photos: list[Photo]
) -> None:
    together, alone = (
        make_extractor(
            RegionsConfig(
                f"hf:{folders['dinov2']}", batch=size, detector=folders["yolos"], threshold=0.3
            )
        )
        for size in (5, 1)
    )
    for first, second in zip(together.extract(photos), alone.extract(photos), strict=True):
        np.testing.assert_allclose(first.boxes, second.boxes, atol=1e-3)
        np.testing.assert_allclose(first.features, second.features, atol=1e-5)
        np.testing.assert_array_equal(first.labels, second.labels)


def test_features_are_pooled_activations(folders: dict[str, str], photos: list[Photo]) -> None:
    """The whole-photo feature of a square photo is the weighted mean of its patches, by sign."""
    extractor = make_extractor(RegionsConfig(f"hf:{folders['vit']}", max_regions=1))
    (regions,) = extractor.extract([photos[2]])
    model = transformers.ViTModel.from_pretrained(folders["vit"], add_pooling_layer=False).eval()
    pixels = torch.tensor(photos[2]).permute(2, 0, 1)[None] / 255
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406),
                                                          (0.229, 0.224, 0.225)))  # fmt: skip
    with torch.no_grad():
        patches = model(pixel_values=(pixels - mean) / std).last_hidden_state[0, 1:]
    points = (torch.arange(7) + 0.5) / 7 * 4 - 0.5  # of a map of 4 x 4
    weights = torch.zeros(4)
    for point in points.clamp(0, 3).tolist():
        low = min(int(point), 2)
        weights[low] += 1 - (point - low)
        weights[low + 1] += point - low
    weight = torch.outer(weights, weights).ravel() / 49
    expected = (patches * weight[:, None]).sum(0)
    signed = regions.features[0, :16] - regions.features[0, 16:]
    np.testing.assert_allclose(signed, expected.numpy(), atol=1e-5)


def test_detected_boxes_carry_class_names(
    folders: dict[str, str], photos: list[Photo], tmp_path: Path
) -> None:
    config = RegionsConfig(f"hf:{folders['resnet']}", max_regions=4, detector=folders["yolos"],
                           threshold=0.0)  # fmt: skip
    extractor = make_extractor(config)
    assert extractor.label_names == (*LABELS, "dress", "shoe", "bag")
    extracted = extractor.extract(photos)
    seen = {extractor.label_names[label] for regions in extracted for label in regions.labels}
    assert "photo" in seen
    assert seen <= {"photo", "dress", "shoe", "bag"}
    assert len(seen) >= 2
    for photo, regions in zip(photos, extracted, strict=True):
        assert 2 <= len(regions) <= 4
        assert (regions.boxes >= 0).all()
        assert (regions.boxes <= [*photo.shape[:2]] * 2).all()
    extractor.save(tmp_path / "extractor")
    again = load_extractor(tmp_path / "extractor")
    assert again.label_names == extractor.label_names
    for first, second in zip(extracted, again.extract(photos), strict=True):
        np.testing.assert_allclose(first.boxes, second.boxes, atol=1e-3)


def test_proposals_replace_missing_detections(folders: dict[str, str], photos: list[Photo]) -> None:
    config = RegionsConfig(f"hf:{folders['resnet']}", detector=folders["yolos"], threshold=1.0)
    (regions,) = make_extractor(config).extract(photos[:1])
    (plain,) = make_extractor(RegionsConfig(f"hf:{folders['resnet']}")).extract(photos[:1])
    np.testing.assert_array_equal(regions.boxes, plain.boxes)


def test_class_scores_with_and_without_a_no_object_class() -> None:
    logits = torch.tensor([[[2.0, 0.0, 1.0]]])
    assert torch.equal(class_scores(logits, 2), logits.softmax(-1)[..., :2])
    assert torch.equal(class_scores(logits, 3), logits.sigmoid())


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return


@pytest.mark.usefixtures("offline")
def test_unusable_models_are_rejected(folders: dict[str, str]) -> None:
    with pytest.raises(DataError, match="no such model folder"):
        make_extractor(RegionsConfig("hf:./nowhere"))
    with pytest.raises(DataError, match="cannot load model 'nobody/nothing-of-this-name'"):
        make_extractor(RegionsConfig("hf:nobody/nothing-of-this-name"))
    with pytest.raises(UsageError, match="has no input size; set --size"):
        make_extractor(RegionsConfig(f"hf:{folders['bert']}"))
    with pytest.raises(UsageError, match="not a vision model"):
        make_extractor(RegionsConfig(f"hf:{folders['bert']}", size=32))
    with pytest.raises(UsageError, match="unknown device 'nowhere'"):
        make_extractor(RegionsConfig(f"hf:{folders['resnet']}", device="nowhere"))
    with pytest.raises(DataError, match=r"cannot load model|not an object detector"):
        make_extractor(RegionsConfig(f"hf:{folders['resnet']}", detector=folders["bert"]))
