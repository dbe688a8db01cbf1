"""Atomic safetensors checkpoints: weights, moments and, as JSON in the header, the `TrainState`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from shopsight.errors import DataError, OutputError
from shopsight.formats.atomic import atomic_path

T = TypeVar("T")
_HEADER = "shopsight"
_MODEL, _MOMENTS = "model.", "optimizer."


def save_weights(path: Path, model: nn.Module, meta: Mapping[str, Any]) -> None:
    """Write a model's weights, tied ones once, and JSON-serialisable metadata.

    Raises:
        OutputError: the file cannot be written, or a weight is not finite.
    """
    _write(path, {_MODEL + name: tensor for name, tensor in _weights(model)}, meta)


def load_weights(path: Path, model: nn.Module) -> dict[str, Any]:
    """Load the weights of `save_weights` or `save_checkpoint`, and return the metadata.

    Raises:
        DataError: the file is missing or damaged, or is of a model with other layers.
    """
    tensors, meta = _read(path, _MODEL)
    _fill(model, tensors, path)
    return meta


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: Optimizer, meta: Mapping[str, Any]
) -> None:
    """Save the full training state; see `save_weights`."""
    tensors = {_MODEL + name: tensor for name, tensor in _weights(model)}
    names: dict[Tensor, str] = {weight: name for name, weight in model.named_parameters()}
    for weight, moments in optimizer.state.items():
        for key, moment in moments.items():
            tensors[f"{_MOMENTS}{names[weight]}/{key}"] = torch.as_tensor(moment)
    _write(path, tensors, meta)


def load_checkpoint(path: Path, model: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    """Restore the state of `save_checkpoint`, and return the metadata; see `load_weights`."""
    tensors, meta = _read(path, "")
    _fill(model, _with_prefix(tensors, _MODEL), path)
    weights = dict(model.named_parameters())
    optimizer.state.clear()
    for name, moment in _with_prefix(tensors, _MOMENTS).items():
        weight_name, _, key = name.rpartition("/")
        weight = weights[weight_name]
        # Adam's step counter stays on the device on which it was saved, whatever the weights do.
        scalar_step = key == "step" and not moment.dim()
        optimizer.state[weight][key] = moment if scalar_step else moment.to(weight.device)
    return meta


def load_part(path: Path, prefix: str, part: nn.Module) -> None:
    """Load the weights whose names begin with `prefix` into a part; see `load_weights`."""
    _fill(part, _read(path, _MODEL + prefix)[0], path)


def weight_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every weight in a file by name, read without the weights."""
    with _opened(path) as file:
        names = list(file.keys())
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
    return _with_prefix(shapes, _MODEL)


def read_meta(path: Path) -> dict[str, Any]:
    """The metadata of a file of `save_weights`; see `load_weights`."""
    with _opened(path) as file:
        return _meta(file)


def _weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every saved weight and buffer, tied ones once, under their first name."""
    saved = set(model.state_dict())
    yield from model.named_parameters()
    yield from ((name, buffer) for name, buffer in model.named_buffers() if name in saved)


def _with_prefix(values: Mapping[str, T], prefix: str) -> dict[str, T]:
    return {name.removeprefix(prefix): v for name, v in values.items() if name.startswith(prefix)}


def _fill(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    own = dict(_weights(model))
    if own.keys() != tensors.keys():
        name = sorted(own.keys() ^ tensors.keys())[0]
        raise DataError(f"{path}: of a model with other layers ({name} is in one of them only)")
    with torch.no_grad():
        for name, tensor in own.items():
            if tensor.shape != tensors[name].shape:
                saved, expected = tuple(tensors[name].shape), tuple(tensor.shape)
                raise DataError(f"{path}: {name} has shape {saved} in the file, not {expected}")
            tensor.copy_(tensors[name])


def _write(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # A NaN that was saved could never be trained away, and would replace a good checkpoint.
    for name, tensor in plain.items():
        if not bool(tensor.isfinite().all()):
            raise OutputError(f"{path}: not saved: '{name}' contains NaN or Inf")
    with atomic_path(path) as temporary:
        try:
            save_file(plain, temporary, metadata={_HEADER: json.dumps(dict(meta))})
        except (OSError, SafetensorError) as error:
            raise OutputError(f"{path}: cannot write, {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    # safetensors wraps it: Error while serializing: I/O error: No space left on ... (os error 28)
    return str(error).lower().rpartition("i/o error: ")[2].partition(" (os error")[0].strip('"')


def _read(path: Path, prefix: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors whose names begin with `prefix`, by the rest of the name, and the metadata."""
    with _opened(path) as file:
        meta = _meta(file)
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
        return {name.removeprefix(prefix): file.get_tensor(name) for name in names}, meta


def _meta(file: Any) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads(file.metadata()[_HEADER])
    return meta


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, "pt") as file:
            if _HEADER not in (file.metadata() or {}):
                raise ValueError("written by another program")
            yield file
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: damaged, or not weights of shopsight; delete it") from error
