"""Settings of region extraction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shopsight.config.checks import check_ranges
from shopsight.config.train import Precision
from shopsight.errors import UsageError


@dataclass(frozen=True)
class RegionsConfig:
    """Region extraction from photos.

    Args:
        extractor: ``classic`` (no network); ``hf:MODEL``, a Hugging Face vision backbone (hub name
            or local folder); ``features``, for precomputed ones in columns; or the folder of a
            saved extractor.
        max_regions: maximum number of regions per photo, including the whole photo and parts.
        parts: product parts that are regions: none, halves, or halves and thirds.
        grid: rows and columns of equal cells of the photo that are regions too, such as 3 2; by
            default 3 2 for a learned extractor and none for others.
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
    grid: tuple[int, ...] = ()
    detector: str | None = None
    threshold: float = 0.3
    size: int = 0
    batch: int = 32
    device: str = "auto"
    precision: Precision | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", tuple(self.grid))  # JSON has lists
        check_ranges(self, max_regions=1, threshold=(0, 1), size=0, batch=1)
        if self.grid and (len(self.grid) != 2 or not all(1 <= n <= 16 for n in self.grid)):
            numbers = " ".join(map(str, self.grid))
            raise UsageError(f"grid must be two numbers from 1 to 16, such as 3 2, not {numbers}")


@dataclass(frozen=True)
class LearnConfig:
    """Training of the `learned` region extractor.

    Args:
        regions: region settings.
        start: weights to start from: efficientnet-lite0 (published, from ImageNet), hf:MODEL (a
            Hugging Face backbone, hub name or local folder), or scratch; auto takes the first if
            its package is installed.
        sizes: longer side of the input, in pixels; for each number a network is trained, and their
            features stand side by side.
        epochs: number of epochs; 0 takes 8 for efficientnet-lite0, 6 for hf, 12 from scratch.
        batch: photos per batch.
        lr: peak learning rate; 0 takes 5e-4, 1e-4 and 3e-3.
        weight_decay: weight decay.
        channels: channels of the first stage from scratch; each later stage doubles them.
        width: feature dimension from scratch, a multiple of 16.
        min_products: minimum number of products with a word for it to be a label.
        max_words: maximum number of labels, most frequent first.
        max_photos: maximum number of training photos, sampled at random.
        threads: CPU threads; 0 uses all cores.
    """

    regions: RegionsConfig = RegionsConfig()
    start: str = "auto"
    sizes: tuple[int, ...] = (96,)
    epochs: int = 0
    batch: int = 64
    lr: float = 0.0
    weight_decay: float = 5e-2
    channels: int = 64
    width: int = 1024
    min_products: int = 8
    max_words: int = 2_000
    max_photos: int = 40_000
    threads: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", tuple(self.sizes))
        check_ranges(self, epochs=0, batch=2, lr=0, channels=8, width=16, min_products=1)
        check_ranges(self, max_words=1, max_photos=2, threads=0)
        if not self.sizes or not all(32 <= size <= 1024 for size in self.sizes):
            raise UsageError("sizes must be numbers of pixels from 32 to 1024, such as 96 128")
