"""Settings of regions: where they are on a photo, and what describes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shopsight.config.checks import check_range
from shopsight.config.train import Precision


@dataclass(frozen=True)
class RegionsConfig:
    """How a photo becomes regions with features.

    Args:
        extractor: ``classic`` needs no network; ``hf:MODEL`` is a Hugging Face vision backbone
            (hub name or local folder).
        most: most regions a photo, the whole photo and its parts included.
        parts: which parts of the product are regions too: none, halves, or halves and thirds.
        detector: a Hugging Face object detector (hub name or local folder) whose boxes are taken,
            its class names as labels; the proposals are taken where it finds nothing.
        threshold: least confidence of a detected box.
        size: longer side at which a backbone sees photos, in pixels; 0 takes the model's own.
        batch: photos at once, for a backbone.
        device: auto, cpu, cuda or mps, for a backbone.
        precision: number format of a backbone's products; auto is bf16 on a GPU.
    """

    extractor: str = "classic"
    most: int = 8
    parts: Literal["none", "halves", "thirds"] = "thirds"
    detector: str | None = None
    threshold: float = 0.3
    size: int = 0
    batch: int = 32
    device: str = "auto"
    precision: Precision | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        check_range(self, "most", 1)
        check_range(self, "threshold", 0, 1)
        check_range(self, "size", 0)
        check_range(self, "batch", 1)


@dataclass(frozen=True)
class LearnConfig:
    """How a small convolutional network learns features from a catalogue's own photos.

    Args:
        regions: where its regions are.
        epochs: passes over the photos.
        batch: photos in a batch.
        lr: highest learning rate.
        weight_decay: weight decay.
        size: longer side at which it sees photos, in pixels.
        channels: channels of its first stage; each of the next has twice as many.
        width: numbers per region feature; a multiple of 16.
        least_products: words of fewer products are no labels.
        most_words: most words that are labels, the most frequent first.
        most_photos: most photos it learns from, drawn at random.
        threads: processor threads; 0 takes every core.
    """

    regions: RegionsConfig = RegionsConfig()
    epochs: int = 12
    batch: int = 64
    lr: float = 3e-3
    weight_decay: float = 5e-2
    size: int = 80
    channels: int = 64
    width: int = 1024
    least_products: int = 8
    most_words: int = 2_000
    most_photos: int = 40_000
    threads: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        check_range(self, "epochs", 1)
        check_range(self, "batch", 2)
        check_range(self, "size", 32)
        check_range(self, "channels", 8)
        check_range(self, "width", 16)
        check_range(self, "least_products", 1)
        check_range(self, "most_words", 1)
        check_range(self, "most_photos", 2)
        check_range(self, "threads", 0)
