"""Opening published models with ``transformers``, and the pixels that they want to see."""

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
from shopsight.regions.extractor import Photo
from shopsight.regions.letterbox import Placed, placed

# of ImageNet, for models that come without settings of their own
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_THREADS = 8  # that scale photos


@dataclass(frozen=True)
class Sight:
    """How a model sees photos.

    Attributes:
        side: of the square that a photo is fitted into, in pixels.
        mean: of red, green and blue, which is subtracted from values in [0, 1].
        std: by which they are divided.
    """

    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def place(self, photos: Sequence[Photo]) -> list[Placed]:
        """Photos fitted into the square."""
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(lambda photo: placed(photo, self.side, self.side), photos))

    def tensor(self, seen: Sequence[Placed]) -> Tensor:
        """(B, 3, side, side) float32, as the model was trained to see them."""
        pixels = torch.from_numpy(np.stack([one.pixels for one in seen]))
        values = pixels.permute(0, 3, 1, 2).float() / 255
        mean, std = (torch.tensor(part)[:, None, None] for part in (self.mean, self.std))
        return (values - mean) / std


def open_model(kind: str, source: str) -> Any:
    """A published model, ready to be used.

    Args:
        kind: the class of ``transformers`` that opens it, such as AutoModel.
        source: its name on the hub, or a local folder.

    Raises:
        UsageError: transformers is not installed.
        DataError: there is no such model, or it cannot be read.
    """
    opened = getattr(_transformers(source), kind)
    if source.startswith((".", "/", "~")) and not Path(source).expanduser().is_dir():
        raise DataError(f"{source}: there is no such folder to take a model from")
    try:
        with _quiet():
            model = opened.from_pretrained(str(Path(source).expanduser()) if source[0] == "~"
                                           else source, dtype=torch.float32)  # fmt: skip
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = str(error).strip().split("\n")[0]
        raise DataError(
            f"no model from '{source}': {reason} (without a network give a local folder with it)"
        ) from error
    return model.eval().requires_grad_(False)


def save_model(model: Any, folder: Path) -> None:
    """Write a model's weights (safetensors) and settings."""
    with _quiet():
        model.save_pretrained(folder, safe_serialization=True)


def sight_of(source: str, model: Any, side: int) -> Sight:
    """How a model sees photos, from the preprocessing that was published with it.

    Args:
        source: its name on the hub, or a local folder.
        model: the model.
        side: of the square, in pixels; 0 takes the model's own.

    Raises:
        UsageError: no size is known, and none was given.
    """
    try:
        about, _ = _transformers(source).ImageProcessingMixin.get_image_processor_dict(source)
    except (OSError, ValueError):
        about = {}
    own = _longest(about.get("size")) or _longest(getattr(model.config, "image_size", None))
    if not (side or own):
        raise UsageError(f"'{source}' does not say at what size it sees photos; give --size")
    mean, std = about.get("image_mean") or _MEAN, about.get("image_std") or _STD
    return Sight(side or own, tuple(map(float, mean)), tuple(map(float, std)))


def device_of(config: RegionsConfig) -> torch.device:
    """Where a model runs. Raises UsageError for a device that is not here."""
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(config.device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {config.device}: no such device here") from error
    return device


@contextmanager
def products_in(config: RegionsConfig, device: torch.device) -> Iterator[None]:
    """Matrix products in the number format that is asked for."""
    half = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
        yield


def _longest(size: Any) -> int:
    """The side that a size means, however it is written; 0 if it does not say."""
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
            f"'{source}' needs transformers: pip install 'shopsight[photos]'"
        ) from error
    return transformers


@contextmanager
def _quiet() -> Iterator[None]:
    """Without bars and remarks on standard error."""
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
