"""Hugging Face models: backbones, and loading and saving of any model."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional

from shopsight.errors import DataError, UsageError
from shopsight.formats.hub import hub_access
from shopsight.regions.backbone import Backbone

# ImageNet statistics, for models without a preprocessor configuration.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_MULTIPLE = 16  # divisor of the feature dimension: the number of attention heads
_MAX_PREFIX = 32  # class and register tokens before the patch tokens


class Preprocessing(NamedTuple):
    """Side of a model's square input in pixels; channel mean and deviation, of values to 255."""

    side: int
    mean: Sequence[float]
    std: Sequence[float]


class HFBackbone(Backbone):
    """A Hugging Face vision model that ends in a feature map or in patch tokens.

    ResNet and ConvNeXt have a map (that of a ResNet-50 has the competition's dimension, 2048);
    DINOv2/v3, ViT and SigLIP 2 have tokens. A signed activation x becomes relu(x) and relu(-x),
    because the region store and the models expect non-negative detector features.

    Args:
        model: the model, or its vision tower.
        channels: of its last activations.
        signed: activations can be negative.
        preprocessing: of its input.
    """

    kind = "hf"

    def __init__(
        self, model: Any, channels: int, signed: bool, preprocessing: Preprocessing
    ) -> None:
        super().__init__((preprocessing.side, preprocessing.side))
        self.model, self._channels, self._signed = model, channels, signed
        _, self.mean, self.std = preprocessing
        self.width = -(-channels * (2 if signed else 1) // _MULTIPLE) * _MULTIPLE

    @classmethod
    def pretrained(cls, source: str, side: int = 0) -> Self:
        """Load a model by its hub name or from a folder; side 0 takes its own input side.

        Raises:
            UsageError: transformers is not installed; a model of another kind, or without a side.
            DataError: missing or unreadable model.
        """
        model = open_model("AutoModel", source)
        model = getattr(model, "vision_model", model)  # of two towers (SigLIP, CLIP)
        preprocessing = read_preprocessing(source, model, side)
        # Random pixels reveal whether the last layer has a ReLU; configurations do not state it.
        generator = torch.Generator().manual_seed(0)
        probe = torch.randn(2, 3, *[preprocessing.side] * 2, generator=generator)
        with torch.no_grad():
            activations = _feature_map(model, probe, source)
        return cls(model, activations.shape[1], bool((activations < 0).any()), preprocessing)

    def maps(self, photos: Tensor) -> list[Tensor]:
        """The last activations (B, C, h, w) of normalised photos (B, 3, H, W)."""
        return [_feature_map(self.model, photos, self.kind)]

    def features(self, pooled: Tensor) -> Tensor:
        """Non-negative features (..., F) of activations (..., C)."""
        parts = [pooled.clamp(min=0), (-pooled).clamp(min=0)] if self._signed else [pooled]
        joined = torch.cat(parts, dim=-1)
        return functional.pad(joined, (0, self.width - joined.shape[-1]))

    def settings(self) -> dict[str, Any]:
        """What `load` needs beside the model."""
        preprocessing = (self.canvas[0], list(self.mean), list(self.std))
        parts = {"channels": self._channels, "signed": self._signed}
        return {**parts, "preprocessing": list(preprocessing)}

    def save(self, folder: Path) -> None:
        """Write weights (safetensors) and configuration."""
        save_model(self.model, folder)

    @classmethod
    def load(cls, folder: Path, settings: dict[str, Any]) -> Self:
        """The model that `save` wrote."""
        preprocessing = Preprocessing(*settings["preprocessing"])
        model = open_model("AutoModel", str(folder))
        return cls(model, settings["channels"], settings["signed"], preprocessing)


def open_model(kind: str, source: str) -> Any:
    """Load a pretrained model in evaluation mode, from the hub or a local folder.

    ``kind`` is a loader class of ``transformers``, such as AutoModel.

    Raises:
        UsageError: transformers is not installed.
        DataError: missing or unreadable model.
    """
    loader = getattr(_transformers(source), kind)
    path = Path(source).expanduser()
    if source.startswith((".", "/", "~")) and not path.is_dir():
        raise DataError(f"{source}: no such model folder")
    try:
        with _quiet(), hub_access():
            name = str(path) if source[0] == "~" else source
            model = loader.from_pretrained(name, dtype=torch.float32)
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        reason = str(error).strip().split("\n")[0]
        raise DataError(
            f"cannot load model '{source}': {reason} (offline, pass a local folder)"
        ) from error
    return model.eval().requires_grad_(False)


def save_model(model: Any, folder: Path) -> None:
    """Write a model's weights (safetensors) and configuration."""
    with _quiet():
        model.save_pretrained(folder, safe_serialization=True)


def read_preprocessing(source: str, model: Any, side: int = 0) -> Preprocessing:
    """A model's published preprocessing; ``side`` replaces its own input side.

    Raises:
        UsageError: neither the model nor ``side`` gives a size.
    """
    mixin = _transformers(source).ImageProcessingMixin
    try:
        with hub_access():
            settings, _ = mixin.get_image_processor_dict(source)
    except (OSError, ValueError):
        settings = {}
    own = _longest(settings.get("size")) or _longest(getattr(model.config, "image_size", None))
    if not (side or own):
        raise UsageError(f"'{source}' has no input size; set --size")
    mean, std = settings.get("image_mean") or _MEAN, settings.get("image_std") or _STD
    return Preprocessing(side or own, *([255 * float(v) for v in part] for part in (mean, std)))


def _feature_map(model: Any, pixels: Tensor, source: str) -> Tensor:
    """(B, C, h, w) last activations. Raises UsageError for a model without a feature map."""
    options, parameters = {}, inspect.signature(model.forward).parameters
    if "pixel_values" not in parameters:
        raise UsageError(f"{source}: not a vision model")
    if "interpolate_pos_encoding" in parameters:
        options["interpolate_pos_encoding"] = True
    last: Any = getattr(model(pixel_values=pixels, **options), "last_hidden_state", None)
    if last is not None and last.ndim == 4:
        whole: Tensor = last
        return whole
    if last is not None and last.ndim == 3:
        grid = _grid(last.shape[1], pixels.shape[2], getattr(model.config, "patch_size", None))
        tiles: Tensor = last[:, last.shape[1] - grid * grid :].transpose(1, 2)
        return tiles.reshape(len(last), -1, grid, grid)
    raise UsageError(f"{source}: the output is neither a feature map nor patch tokens")


def _grid(tokens: int, side: int, patch: object) -> int:
    """Patches per side of a square photo, not counting prefix tokens.

    >>> _grid(201, 224, 16), _grid(50, 224, None), _grid(49, 224, 4)
    (14, 7, 7)
    """
    if isinstance(patch, int) and 0 <= tokens - (side // patch) ** 2 <= _MAX_PREFIX:
        return side // patch
    return math.isqrt(tokens)


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
