"""The extractor ``learned``: a network trained on the catalogue's own photos, pooled over boxes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save

from shopsight.config import RegionsConfig
from shopsight.formats.atomic import atomic_write
from shopsight.regions.extractor import Photo, PhotoRegions, in_batches
from shopsight.regions.hf_models import device_of
from shopsight.regions.letterbox import placed
from shopsight.regions.network import RegionNetwork, normalised
from shopsight.regions.propose import LABELS, propose

NAME = "learned"
SETTINGS, WEIGHTS = "settings.json", "weights.safetensors"


class LearnedExtractor:
    """Describes regions by what a small network learned of this catalogue.

    Args:
        network: the network.
        shape: what it was made with: channels and width.
        canvas: height and width at which it sees photos.
        config: where regions are, and how many photos it sees at once.
    """

    name = NAME
    label_names = LABELS
    in_workers = False

    def __init__(
        self,
        network: RegionNetwork,
        shape: dict[str, int],
        canvas: tuple[int, int],
        config: RegionsConfig,
    ) -> None:
        self.config, self.width = config, shape["width"]
        self._shape, self._canvas = shape, canvas
        self._device = device_of(config)
        network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network = network.eval().requires_grad_(False)

    @classmethod
    def load(cls, folder: Path, settings: dict[str, Any]) -> LearnedExtractor:
        """The extractor that `save` wrote, with the content of its settings file."""
        network = RegionNetwork(**settings["network"])
        try:
            network.load_state_dict(load_file(folder / WEIGHTS))
        except RuntimeError as error:
            raise ValueError(f"{folder / WEIGHTS}: not the weights of this network") from error
        config = replace(RegionsConfig(**settings["regions"]), device="auto")
        height, width = settings["canvas"]
        return cls(network, settings["network"], (height, width), config)

    def describe(self, photos: Sequence[Photo]) -> list[PhotoRegions]:
        """The regions of photos of any size, in their order."""
        return in_batches(self._describe, photos, self.config.batch)

    def save(self, folder: Path) -> None:
        """Write settings and weights."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {k: v.contiguous().cpu() for k, v in self._network.state_dict().items()}
        with atomic_write(folder / WEIGHTS, "wb") as file:
            file.write(save(weights))
        settings = {
            "extractor": NAME,
            "regions": asdict(self.config),
            "network": self._shape,
            "canvas": list(self._canvas),
        }
        with atomic_write(folder / SETTINGS) as file:
            json.dump(settings, file, indent=1)

    @torch.inference_mode()
    def _describe(self, photos: Sequence[Photo]) -> list[PhotoRegions]:
        found = [propose(photo, self.config) for photo in photos]
        seen = [placed(photo, *self._canvas) for photo in photos]
        boxes = torch.zeros(len(photos), max(len(one.boxes) for one in found), 4)
        for row, one, place in zip(boxes, found, seen, strict=True):
            row[: len(one.boxes)] = torch.from_numpy(place.shares(one.boxes))
        pixels = torch.from_numpy(np.stack([one.pixels for one in seen]))
        values = self._network.regions(normalised(pixels.to(self._device)), boxes.to(self._device))
        return [
            PhotoRegions(one.boxes, row[: len(one.boxes)].copy(), one.labels)
            for one, row in zip(found, values.cpu().numpy(), strict=True)
        ]
