"""The extractor ``hf:MODEL``: activations of a published vision backbone, pooled over boxes.

Any model of ``transformers`` that ends in a feature map (ResNet, ConvNeXt) or in patches (DINOv2
and v3, ViT, SigLIP 2). A ResNet-50's last map gives the competition's 2048 numbers. Where a model
has activations below 0, each becomes two numbers, what is above 0 and what is below: nothing is
lost, and the features are none below 0, as a detector's.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from shopsight.config import RegionsConfig
from shopsight.errors import UsageError
from shopsight.formats.atomic import atomic_write
from shopsight.regions.detector import Detector
from shopsight.regions.extractor import Photo, PhotoRegions, in_batches
from shopsight.regions.hf_models import (
    Sight,
    device_of,
    open_model,
    products_in,
    save_model,
    sight_of,
)
from shopsight.regions.propose import LABELS, Proposals, propose
from shopsight.regions.roi_pool import pooled

PREFIX = "hf:"
SETTINGS = "settings.json"
_BACKBONE, _DETECTOR = "backbone", "detector"
_MULTIPLE = 16  # of the width: so many heads share it
_MOST_EXTRA = 32  # tokens before the patches: class and registers


class PretrainedExtractor:
    """Describes regions by a published backbone.

    Args:
        model: the backbone.
        sight: how it sees photos.
        signed: it has activations below 0.
        config: where regions are, and how it runs.
        detector: where boxes come from; from proposals if left out.
    """

    in_workers = False

    def __init__(
        self,
        model: Any,
        sight: Sight,
        signed: bool,
        config: RegionsConfig,
        detector: Detector | None = None,
    ) -> None:
        self.config, self._sight, self._signed, self._detector = config, sight, signed, detector
        self._device = device_of(config)
        self._model = model.to(self._device)
        self.name = config.extractor
        self.label_names = LABELS + (detector.names if detector else ())
        self._channels = self._maps(torch.zeros(1, 3, sight.side, sight.side)).shape[1]
        self.width = -(-self._channels * (2 if signed else 1) // _MULTIPLE) * _MULTIPLE

    @classmethod
    def open(cls, config: RegionsConfig) -> PretrainedExtractor:
        """The backbone, and the detector, that settings name.

        Raises:
            ShopsightError: see `open_model` and `sight_of`.
        """
        source = config.extractor.removeprefix(PREFIX)
        model = _vision_part(open_model("AutoModel", source))
        sight = sight_of(source, model, config.size)
        detector = _open_detector(config.detector, config) if config.detector else None
        probe = torch.randn(
            2, 3, sight.side, sight.side, generator=torch.Generator().manual_seed(0)
        )
        signed = bool((_feature_map(model, probe, source) < 0).any())
        return cls(model, sight, signed, config, detector)

    @classmethod
    def load(cls, folder: Path, settings: dict[str, Any]) -> PretrainedExtractor:
        """The extractor that `save` wrote, with the content of its settings file."""
        config = RegionsConfig(**settings["regions"])
        config = replace(config, device="auto", precision="auto")  # of the machine that reads it
        detector = None
        if settings["detector_sight"]:
            found = open_model("AutoModelForObjectDetection", str(folder / _DETECTOR))
            sight, device = Sight(**settings["detector_sight"]), device_of(config)
            detector = Detector(found.to(device), sight, config, device)
        model = open_model("AutoModel", str(folder / _BACKBONE))
        return cls(model, Sight(**settings["sight"]), settings["signed"], config, detector)

    def describe(self, photos: Sequence[Photo]) -> list[PhotoRegions]:
        """The regions of photos of any size, in their order."""
        return in_batches(self._describe, photos, self.config.batch)

    def save(self, folder: Path) -> None:
        """Write settings and weights, those of the detector included."""
        folder.mkdir(parents=True, exist_ok=True)
        save_model(self._model, folder / _BACKBONE)
        if self._detector:
            save_model(self._detector.model, folder / _DETECTOR)
        settings = {
            "extractor": self.name,
            "regions": asdict(self.config),
            "sight": asdict(self._sight),
            "signed": self._signed,
            "detector_sight": asdict(self._detector.sight) if self._detector else None,
        }
        with atomic_write(folder / SETTINGS) as file:
            json.dump(settings, file, indent=1)

    def _describe(self, photos: Sequence[Photo]) -> list[PhotoRegions]:
        found = self._proposals(photos)
        seen = self._sight.place(photos)
        maps = self._maps(self._sight.tensor(seen))  # (B, C, h, w)
        boxes = torch.zeros(len(photos), max(len(one.boxes) for one in found), 4)
        for row, one, place in zip(boxes, found, seen, strict=True):
            row[: len(one.boxes)] = torch.from_numpy(place.shares(one.boxes))
        with torch.inference_mode():
            values = self._features(pooled(maps, boxes.to(maps.device))).cpu().numpy()
        return [
            PhotoRegions(one.boxes, row[: len(one.boxes)].copy(), one.labels)
            for one, row in zip(found, values, strict=True)
        ]

    def _proposals(self, photos: Sequence[Photo]) -> list[Proposals]:
        found = self._detector.find(photos) if self._detector else [None] * len(photos)
        return [
            one or propose(photo, self.config) for one, photo in zip(found, photos, strict=True)
        ]

    def _maps(self, pixels: Tensor) -> Tensor:
        with products_in(self.config, self._device):
            return _feature_map(self._model, pixels.to(self._device), self.name).float()

    def _features(self, values: Tensor) -> Tensor:
        """(B, n, F) none below 0, from activations (B, n, C)."""
        parts = [values.clamp(min=0), (-values).clamp(min=0)] if self._signed else [values]
        joined = torch.cat(parts, dim=-1)
        return functional.pad(joined, (0, self.width - joined.shape[-1]))


def _vision_part(model: Any) -> Any:
    """The half that sees, of a model that also reads (SigLIP, CLIP)."""
    return getattr(model, "vision_model", model)


def _open_detector(source: str, config: RegionsConfig) -> Detector:
    device = device_of(config)
    model = open_model("AutoModelForObjectDetection", source)
    return Detector(model.to(device), sight_of(source, model, 0), config, device)


def _feature_map(model: Any, pixels: Tensor, source: str) -> Tensor:
    """(B, C, h, w) the last activations. Raises UsageError for a model that has none such."""
    more, known = {}, inspect.signature(model.forward).parameters
    if "pixel_values" not in known:
        raise UsageError(f"{source}: not a model that sees photos")
    if "interpolate_pos_encoding" in known:
        more["interpolate_pos_encoding"] = True
    with torch.no_grad():
        last: Any = getattr(model(pixel_values=pixels, **more), "last_hidden_state", None)
    if last is not None and last.ndim == 4:
        whole: Tensor = last
        return whole
    if last is not None and last.ndim == 3:
        grid = _grid(last.shape[1], pixels.shape[2], getattr(model.config, "patch_size", None))
        tiles: Tensor = last[:, last.shape[1] - grid * grid :].transpose(1, 2)
        return tiles.reshape(len(last), -1, grid, grid)
    raise UsageError(f"{source}: it ends neither in a feature map nor in patches")


def _grid(tokens: int, side: int, patch: object) -> int:
    """Patches in a row of a square photo; tokens before them are classes and registers.

    >>> _grid(201, 224, 16), _grid(50, 224, None), _grid(49, 224, 4)
    (14, 7, 7)
    """
    if isinstance(patch, int) and 0 <= tokens - (side // patch) ** 2 <= _MOST_EXTRA:
        return side // patch
    return math.isqrt(tokens)
