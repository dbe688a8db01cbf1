"""Extractor ``learned``: a network trained on the catalogue's own photos, pooled over boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save

from shopsight.config import RegionsConfig
from shopsight.device import choose_device
from shopsight.formats.atomic import atomic_write
from shopsight.regions.extractor import SETTINGS, extract_in_batches
from shopsight.regions.letterbox import letterbox
from shopsight.regions.network import RegionNetwork, normalise_pixels
from shopsight.regions.propose import LABELS, propose
from shopsight.regions.roi_pool import padded_boxes, unpadded_regions
from shopsight.types import Photo, PhotoRegions

NAME = "learned"
WEIGHTS = "weights.safetensors"


class LearnedExtractor:
    """Region extractor on a trained `RegionNetwork`.

    Args:
        network: the trained network.
        shape: its constructor arguments, channels and width.
        canvas: input height and width, in pixels.
        config: region settings and batch size.
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
        self._device = choose_device(config.device)
        network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network = network.eval().requires_grad_(False)

    @classmethod
    def load(cls, folder: Path, settings: dict[str, Any]) -> LearnedExtractor:
        """Load the extractor written by `save`; ``settings`` is its parsed settings file."""
        network = RegionNetwork(**settings["network"])
        try:
            network.load_state_dict(load_file(folder / WEIGHTS))
        except RuntimeError as error:
            raise ValueError(f"{folder / WEIGHTS}: weights do not fit the network") from error
        config = replace(RegionsConfig(**settings["regions"]), device="auto")
        height, width = settings["canvas"]
        return cls(network, settings["network"], (height, width), config)

    def extract(self, photos: Sequence[Photo]) -> list[PhotoRegions]:
        """Regions of photos of any size, in input order."""
        return extract_in_batches(self._extract, photos, self.config.batch)

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
        SETTINGS.write(folder, settings)

    @torch.inference_mode()
    def _extract(self, photos: Sequence[Photo]) -> list[PhotoRegions]:
        proposals = [propose(photo, self.config) for photo in photos]
        letterboxed = [letterbox(photo, *self._canvas) for photo in photos]
        boxes = padded_boxes(proposals, letterboxed).to(self._device)
        pixels = torch.from_numpy(np.stack([photo.pixels for photo in letterboxed]))
        features = self._network.regions(normalise_pixels(pixels.to(self._device)), boxes)
        return unpadded_regions(proposals, features.cpu().numpy())
