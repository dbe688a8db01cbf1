"""Extractor ``hf:MODEL``: activations of a Hugging Face vision backbone, pooled over boxes.

Supports models that end in a feature map (ResNet, ConvNeXt) or in patch tokens (DINOv2/v3, ViT,
SigLIP 2). The last map of a ResNet-50 has the competition's dimension, 2048. A signed activation
x is stored as relu(x) and relu(-x), because the region store and the models expect non-negative
detector features.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from shopsight.config import RegionsConfig
from shopsight.device import choose_device
from shopsight.errors import UsageError
from shopsight.regions.detector import Detector
from shopsight.regions.extractor import SETTINGS, extract_in_batches
from shopsight.regions.hf_models import (
    ImageProcessor,
    autocast,
    image_processor,
    open_model,
    save_model,
)
from shopsight.regions.propose import LABELS, Proposals, propose
from shopsight.regions.roi_pool import padded_boxes, roi_pool, unpadded_regions
from shopsight.types import Photo, PhotoRegions

PREFIX = "hf:"
_BACKBONE, _DETECTOR = "backbone", "detector"
_MULTIPLE = 16  # divisor of the feature dimension: the number of attention heads
_MAX_PREFIX = 32  # class and register tokens before the patch tokens


class HFExtractor:
    """Region extractor on a pretrained backbone.

    Args:
        model: the backbone.
        processor: preprocessing of photos.
        signed: whether activations can be negative.
        config: region and inference settings.
        detector: source of boxes; `propose` if None.
    """

    in_workers = False

    def __init__(
        self,
        model: Any,
        processor: ImageProcessor,
        signed: bool,
        config: RegionsConfig,
        detector: Detector | None = None,
    ) -> None:
        self.config, self._processor = config, processor
        self._signed, self._detector = signed, detector
        self._device = choose_device(config.device)
        self._model = model.to(self._device)
        self.name = config.extractor
        self.label_names = LABELS + (detector.names if detector else ())
        self._channels = self._maps(torch.zeros(1, 3, processor.side, processor.side)).shape[1]
        self.width = -(-self._channels * (2 if signed else 1) // _MULTIPLE) * _MULTIPLE

    @classmethod
    def from_pretrained(cls, config: RegionsConfig) -> HFExtractor:
        """Load the backbone and the detector named by the settings.

        Raises:
            ShopsightError: see `open_model` and `image_processor`.
        """
        source = config.extractor.removeprefix(PREFIX)
        model = _vision_part(open_model("AutoModel", source))
        processor = image_processor(source, model, config.size)
        detector = _open_detector(config.detector, config) if config.detector else None
        # Random pixels reveal whether the last layer has a ReLU; configurations do not state it.
        side, generator = processor.side, torch.Generator().manual_seed(0)
        probe = torch.randn(2, 3, side, side, generator=generator)
        signed = bool((_feature_map(model, probe, source) < 0).any())
        return cls(model, processor, signed, config, detector)

    @classmethod
    def load(cls, folder: Path, settings: dict[str, Any]) -> HFExtractor:
        """Load the extractor written by `save`; ``settings`` is its parsed settings file."""
        config = RegionsConfig(**settings["regions"])
        config = replace(config, device="auto", precision="auto")  # chosen by the loading machine
        detector = None
        if settings["detector_processor"]:
            network = open_model("AutoModelForObjectDetection", str(folder / _DETECTOR))
            processor = ImageProcessor(**settings["detector_processor"])
            device = choose_device(config.device)
            detector = Detector(network.to(device), processor, config, device)
        model = open_model("AutoModel", str(folder / _BACKBONE))
        processor = ImageProcessor(**settings["processor"])
        return cls(model, processor, settings["signed"], config, detector)

    def extract(self, photos: Sequence[Photo]) -> list[PhotoRegions]:
        """Regions of photos of any size, in input order."""
        return extract_in_batches(self._extract, photos, self.config.batch)

    def save(self, folder: Path) -> None:
        """Write settings and weights, including the detector's."""
        folder.mkdir(parents=True, exist_ok=True)
        save_model(self._model, folder / _BACKBONE)
        if self._detector:
            save_model(self._detector.model, folder / _DETECTOR)
        settings = {
            "extractor": self.name,
            "regions": asdict(self.config),
            "processor": asdict(self._processor),
            "signed": self._signed,
            "detector_processor": asdict(self._detector.processor) if self._detector else None,
        }
        SETTINGS.write(folder, settings)

    def _extract(self, photos: Sequence[Photo]) -> list[PhotoRegions]:
        proposals = self._proposals(photos)
        letterboxed = self._processor.letterbox(photos)
        maps = self._maps(self._processor.tensor(letterboxed))  # (B, C, h, w)
        boxes = padded_boxes(proposals, letterboxed).to(maps.device)
        with torch.inference_mode():
            features = self._features(roi_pool(maps, boxes)).cpu().numpy()
        return unpadded_regions(proposals, features)

    def _proposals(self, photos: Sequence[Photo]) -> list[Proposals]:
        detected = self._detector.detect(photos) if self._detector else [None] * len(photos)
        return [
            proposals or propose(photo, self.config)
            for proposals, photo in zip(detected, photos, strict=True)
        ]

    def _maps(self, pixels: Tensor) -> Tensor:
        with autocast(self.config, self._device):
            return _feature_map(self._model, pixels.to(self._device), self.name).float()

    def _features(self, values: Tensor) -> Tensor:
        """(B, n, F) non-negative features of activations (B, n, C), padded to the width."""
        parts = [values.clamp(min=0), (-values).clamp(min=0)] if self._signed else [values]
        joined = torch.cat(parts, dim=-1)
        return functional.pad(joined, (0, self.width - joined.shape[-1]))


def _vision_part(model: Any) -> Any:
    """The vision tower of a two-tower model (SigLIP, CLIP)."""
    return getattr(model, "vision_model", model)


def _open_detector(source: str, config: RegionsConfig) -> Detector:
    device = choose_device(config.device)
    model = open_model("AutoModelForObjectDetection", source)
    return Detector(model.to(device), image_processor(source, model, 0), config, device)


def _feature_map(model: Any, pixels: Tensor, source: str) -> Tensor:
    """(B, C, h, w) last activations. Raises UsageError for a model without a feature map."""
    options, parameters = {}, inspect.signature(model.forward).parameters
    if "pixel_values" not in parameters:
        raise UsageError(f"{source}: not a vision model")
    if "interpolate_pos_encoding" in parameters:
        options["interpolate_pos_encoding"] = True
    with torch.no_grad():
        last: Any = getattr(model(pixel_values=pixels, **options), "last_hidden_state", None)
    if last is not None and last.ndim == 4:
        whole: Tensor = last
        return whole
    if last is not None and last.ndim == 3:
        grid = _grid(last.shape[1], pixels.shape[2], getattr(model.config, "patch_size", None))
        tiles: Tensor = last[:, last.shape[1] - grid * grid :].transpose(1, 2)
        return tiles.reshape(len(last), -1, grid, grid)
    raise UsageError(f"{source}: the output is neither a feature map nor patch tokens")


def _grid(tokens: int, side: int, patch: object) -> int:
    """Patches per side of a square photo, not counting prefix tokens.

    >>> _grid(201, 224, 16), _grid(50, 224, None), _grid(49, 224, 4)
    (14, 7, 7)
    """
    if isinstance(patch, int) and 0 <= tokens - (side // patch) ** 2 <= _MAX_PREFIX:
        return side // patch
    return math.isqrt(tokens)
