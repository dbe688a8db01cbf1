"""Settings of region extraction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shopsight.config.checks import check_ranges
from shopsight.config.train import Precision


@dataclass(frozen=True)
class RegionsConfig:
    """Region extraction from photos.

    Args:
        extractor: ``classic`` (no network); ``hf:MODEL``, a Hugging Face vision backbone (hub name
            or local folder); ``features``, for precomputed ones in columns; or the folder of a
            saved extractor.
        max_regions: maximum number of regions per photo, including the whole photo and parts.
        parts: product parts that are regions: none, halves, or halves and thirds.
        detector: Hugging Face object detector (hub name or local folder) that supplies boxes and
            labels; photos without detections fall back to proposals.
        threshold: minimum score of a detected box.
        size: input side of a backbone, in pixels; 0 uses the model's own.
        batch: photos per batch of a backbone.
        device: device of a backbone: auto, cpu, cuda or mps.
        precision: autocast precision of a backbone; auto is bf16 on a GPU.
    """

    extractor: str = "classic"
    max_regions: int = 8
    parts: Literal["none", "halves", "thirds"] = "thirds"
    detector: str | None = None
    threshold: float = 0.3
    size: int = 0
    batch: int = 32
    device: str = "auto"
    precision: Precision | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        check_ranges(self, max_regions=1, threshold=(0, 1), size=0, batch=1)


@dataclass(frozen=True)
class LearnConfig:
    """Training of the `learned` region extractor.

    Args:
        regions: region settings.
        epochs: number of epochs.
        batch: photos per batch.
        lr: peak learning rate.
        weight_decay: weight decay.
        size: longer side of the input, in pixels.
        channels: channels of the first stage; each later stage doubles them.
        width: feature dimension, a multiple of 16.
        min_products: minimum number of products with a word for it to be a label.
        max_words: maximum number of labels, most frequent first.
        max_photos: maximum number of training photos, sampled at random.
        threads: CPU threads; 0 uses all cores.
    """

    regions: RegionsConfig = RegionsConfig()
    epochs: int = 12
    batch: int = 64
    lr: float = 3e-3
    weight_decay: float = 5e-2
    size: int = 80
    channels: int = 64
    width: int = 1024
    min_products: int = 8
    max_words: int = 2_000
    max_photos: int = 40_000
    threads: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, epochs=1, batch=2, size=32, channels=8, width=16)
        check_ranges(self, min_products=1, max_words=1, max_photos=2, threads=0)
