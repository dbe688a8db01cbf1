"""Hugging Face models: loading, saving and image preprocessing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shopsight.config import RegionsConfig
from shopsight.errors import DataError, UsageError
from shopsight.regions.letterbox import Letterboxed, letterbox
from shopsight.types import Photo

# ImageNet statistics, for models without a preprocessor configuration.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_THREADS = 8  # for resizing; Pillow releases the interpreter lock


@dataclass(frozen=True)
class ImageProcessor:
    """Image preprocessing of a model.

    Attributes:
        side: side of the square input, in pixels.
        mean: per-channel mean, subtracted from values in [0, 1].
        std: per-channel standard deviation, the divisor.
    """

    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def letterbox(self, photos: Sequence[Photo]) -> list[Letterboxed]:
        """Resize and pad photos to the square input."""
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(lambda photo: letterbox(photo, self.side, self.side), photos))

    def tensor(self, letterboxed: Sequence[Letterboxed]) -> Tensor:
        """(B, 3, side, side) normalised float32 inputs."""
        pixels = torch.from_numpy(np.stack([photo.pixels for photo in letterboxed]))
        values = pixels.permute(0, 3, 1, 2).float() / 255
        mean, std = (torch.tensor(part)[:, None, None] for part in (self.mean, self.std))
        return (values - mean) / std


def open_model(kind: str, source: str) -> Any:
    """Load a pretrained model in evaluation mode.

    Args:
        kind: loader class of ``transformers``, such as AutoModel.
        source: hub name or local folder.

    Raises:
        UsageError: transformers is not installed.
        DataError: missing or unreadable model.
    """
    loader = getattr(_transformers(source), kind)
    if source.startswith((".", "/", "~")) and not Path(source).expanduser().is_dir():
        raise DataError(f"{source}: no such model folder")
    try:
        with _quiet():
            model = loader.from_pretrained(str(Path(source).expanduser()) if source[0] == "~"
                                           else source, dtype=torch.float32)  # fmt: skip
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = str(error).strip().split("\n")[0]
        raise DataError(
            f"cannot load model '{source}': {reason} (offline, pass a local folder)"
        ) from error
    return model.eval().requires_grad_(False)


def save_model(model: Any, folder: Path) -> None:
    """Write a model's weights (safetensors) and configuration."""
    with _quiet():
        model.save_pretrained(folder, safe_serialization=True)


def image_processor(source: str, model: Any, side: int) -> ImageProcessor:
    """Image preprocessing from a model's published preprocessor configuration.

    Args:
        source: hub name or local folder.
        model: the loaded model.
        side: input side in pixels; 0 uses the model's own.

    Raises:
        UsageError: neither the model nor ``side`` gives a size.
    """
    try:
        settings, _ = _transformers(source).ImageProcessingMixin.get_image_processor_dict(source)
    except (OSError, ValueError):
        settings = {}
    own = _longest(settings.get("size")) or _longest(getattr(model.config, "image_size", None))
    if not (side or own):
        raise UsageError(f"'{source}' has no input size; set --size")
    mean, std = settings.get("image_mean") or _MEAN, settings.get("image_std") or _STD
    return ImageProcessor(side or own, tuple(map(float, mean)), tuple(map(float, std)))


@contextmanager
def autocast(config: RegionsConfig, device: torch.device) -> Iterator[None]:
    """Inference mode with autocast at the configured precision."""
    half = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
        yield


def _longest(size: Any) -> int:
    """Longer side of a size in any of the Hugging Face notations; 0 if unknown."""
    if isinstance(size, dict):
        size = [size[key] for key in ("height", "width", "shortest_edge") if size.get(key)]
    if isinstance(size, list | tuple):
        size = max(size, default=0)
    return int(size or 0)


def _transformers(source: str) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise UsageError(
            f"'{source}' requires transformers: pip install 'shopsight[photos]'"
        ) from error
    return transformers


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence progress bars and warnings of transformers."""
    import transformers

    logging: Any = transformers.utils.logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
