"""Region boxes from a Hugging Face object detector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shopsight.config import RegionsConfig
from shopsight.device import choose_device
from shopsight.errors import DataError
from shopsight.regions.backbone import autocast, normalise
from shopsight.regions.hf_models import (
    Preprocessing,
    open_model,
    read_preprocessing,
    save_model,
)
from shopsight.regions.letterbox import Letterboxed, letterbox_all
from shopsight.regions.propose import LABELS, Proposals, iou
from shopsight.types import Photo

_DUPLICATE_IOU = 0.8  # boxes that overlap more than this are duplicates


class Detector:
    """Object detector: a model with class logits for each box, such as DETR, YOLOS or RT-DETR."""

    def __init__(self, model: Any, preprocessing: Preprocessing, config: RegionsConfig) -> None:
        self._preprocessing, self._config = preprocessing, config
        self._device = choose_device(config.device)
        self._model = model.to(self._device)

    @classmethod
    def pretrained(cls, source: str, config: RegionsConfig) -> Detector:
        """Load a detector by its hub name or from a folder; see `open_model`."""
        model = open_model("AutoModelForObjectDetection", source)
        return cls(model, read_preprocessing(source, model), config)

    @classmethod
    def load(cls, folder: Path, preprocessing: Sequence[Any], config: RegionsConfig) -> Detector:
        """The detector that `save` wrote."""
        model = open_model("AutoModelForObjectDetection", str(folder))
        return cls(model, Preprocessing(*preprocessing), config)

    def save(self, folder: Path) -> list[Any]:
        """Write the model; what it returns is the ``preprocessing`` of `load`."""
        save_model(self._model, folder)
        return list(self._preprocessing)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names, by class id."""
        names = self._model.config.id2label
        return tuple(str(names[i]) for i in sorted(names))

    def detect(self, photos: Sequence[Photo]) -> list[Proposals | None]:
        """The whole photo and detected boxes by descending score; None without detections.

        Class ids are offset by the number of proposal labels (`LABELS`).

        Raises:
            DataError: the model's output has no class logits and boxes.
        """
        side, mean, std = self._preprocessing
        letterboxed, pixels = letterbox_all(photos, side, side)
        inputs = normalise(pixels.to(self._device), mean, std)
        with autocast(self._config, self._device):
            output = self._model(pixel_values=inputs)
        logits, boxes = getattr(output, "logits", None), getattr(output, "pred_boxes", None)
        if logits is None or boxes is None or logits.shape[:2] != boxes.shape[:2]:
            raise DataError(f"{self._config.detector}: not an object detector")
        scores = class_scores(logits.float(), len(self.names)).cpu()
        found = zip(photos, letterboxed, scores, boxes.float().cpu(), strict=True)
        return [self._select(*detections) for detections in found]

    def _select(
        self, photo: Photo, letterboxed: Letterboxed, scores: Tensor, boxes: Tensor
    ) -> Proposals | None:
        """Keep boxes above the threshold after non-maximum suppression."""
        best, classes = scores.max(1)
        centre, half = boxes[:, :2], boxes[:, 2:] / 2  # DETR boxes: centre x, y, width, height
        corners = torch.cat([centre - half, centre + half], dim=1)[:, [1, 0, 3, 2]]
        sides = np.array([*photo.shape[:2]] * 2, np.float32)
        pixels = np.clip(letterboxed.to_pixels(corners.numpy()), 0, sides)
        kept, labels = [(0.0, 0.0, *sides[:2].tolist())], [0]
        for i in torch.argsort(-best, stable=True).tolist():
            box = tuple(pixels[i].tolist())
            if best[i] < self._config.threshold or len(kept) >= self._config.max_regions:
                break
            visible = box[2] - box[0] >= 1 and box[3] - box[1] >= 1
            if visible and all(iou(box, other) <= _DUPLICATE_IOU for other in kept[1:]):
                kept.append(box)
                labels.append(len(LABELS) + int(classes[i]))
        if len(kept) == 1:
            return None
        return Proposals(np.array(kept, np.float32), np.array(labels, np.int16))


def class_scores(logits: Tensor, classes: int) -> Tensor:
    """(B, Q, classes) probabilities of logits (B, Q, classes) or (B, Q, classes + 1).

    Detectors with a trailing "no object" class (DETR) use a softmax, the others a sigmoid.

    >>> class_scores(torch.zeros(1, 1, 4), 3)[0, 0].tolist()
    [0.25, 0.25, 0.25]
    >>> class_scores(torch.zeros(1, 1, 3), 3)[0, 0].tolist()
    [0.5, 0.5, 0.5]
    """
    if logits.shape[-1] == classes + 1:
        return logits.softmax(-1)[..., :-1]
    return logits.sigmoid()[..., :classes]
