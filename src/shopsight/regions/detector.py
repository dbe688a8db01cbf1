"""Boxes from a published object detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shopsight.config import RegionsConfig
from shopsight.errors import DataError
from shopsight.regions.extractor import Photo
from shopsight.regions.hf_models import Sight, products_in
from shopsight.regions.letterbox import Placed
from shopsight.regions.propose import LABELS, Proposals, overlap

_SAME = 0.8  # boxes that overlap more than this (intersection over union) are one


@dataclass(frozen=True, eq=False)
class Detector:
    """Finds objects on photos.

    Attributes:
        model: what detects; DETR, YOLOS, RT-DETR and their kin, which give every box its classes.
        sight: how it sees photos.
        config: how many boxes, and how sure.
        device: where it runs.
    """

    model: Any
    sight: Sight
    config: RegionsConfig
    device: torch.device

    @property
    def names(self) -> tuple[str, ...]:
        """Its classes, by number."""
        known = self.model.config.id2label
        return tuple(str(known[i]) for i in sorted(known))

    def find(self, photos: Sequence[Photo]) -> list[Proposals | None]:
        """The whole photo and what is on it, the surest first; None where nothing is found.

        Labels are the detector's classes, counted on after the proposals' own.

        Raises:
            DataError: the model does not answer as detectors do.
        """
        seen = self.sight.place(photos)
        with products_in(self.config, self.device):
            answer = self.model(pixel_values=self.sight.tensor(seen).to(self.device))
        logits, boxes = getattr(answer, "logits", None), getattr(answer, "pred_boxes", None)
        if logits is None or boxes is None or logits.shape[:2] != boxes.shape[:2]:
            raise DataError(f"{self.config.detector}: it is no object detector")
        chances = class_chances(logits.float(), len(self.names)).cpu()
        return [
            self._kept(photo, one, chance, box)
            for photo, one, chance, box in zip(
                photos, seen, chances, boxes.float().cpu(), strict=True
            )
        ]

    def _kept(self, photo: Photo, seen: Placed, chances: Tensor, boxes: Tensor) -> Proposals | None:
        sure, classes = chances.max(1)
        middle, half = boxes[:, :2], boxes[:, 2:] / 2  # x and y of the middle; width and height
        corners = torch.cat([middle - half, middle + half], dim=1)[:, [1, 0, 3, 2]]
        sides = np.array([*photo.shape[:2]] * 2, np.float32)
        pixels = np.clip(seen.boxes(corners.numpy()), 0, sides)
        kept, labels = [(0.0, 0.0, *sides[:2].tolist())], [0]
        for i in torch.argsort(-sure, stable=True).tolist():
            box = tuple(pixels[i].tolist())
            if sure[i] < self.config.threshold or len(kept) >= self.config.most:
                break
            visible = box[2] - box[0] >= 1 and box[3] - box[1] >= 1
            if visible and all(overlap(box, other) <= _SAME for other in kept[1:]):
                kept.append(box)
                labels.append(len(LABELS) + int(classes[i]))
        if len(kept) == 1:
            return None
        return Proposals(np.array(kept, np.float32), np.array(labels, np.int16))


def class_chances(logits: Tensor, classes: int) -> Tensor:
    """How sure a detector is of each class of each box.

    Args:
        logits: (B, Q, classes), or one more, the last meaning that there is nothing.
        classes: how many classes it names.

    Returns:
        (B, Q, classes) chances.

    >>> class_chances(torch.zeros(1, 1, 4), 3)[0, 0].tolist()
    [0.25, 0.25, 0.25]
    >>> class_chances(torch.zeros(1, 1, 3), 3)[0, 0].tolist()
    [0.5, 0.5, 0.5]
    """
    if logits.shape[-1] == classes + 1:
        return logits.softmax(-1)[..., :-1]
    return logits.sigmoid()[..., :classes]
