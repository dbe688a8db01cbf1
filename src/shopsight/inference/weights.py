"""Checkpoints: one safetensors file each, whole or not there, nothing pickled.

A checkpoint holds the weights, the optimizer's moments and, as JSON in the file's header, where
training stands. There is no random state in it: everything random in a step follows from the
seed, the step and the process (see `shopsight.training.loop`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from shopsight.errors import DataError, OutputError
from shopsight.formats.atomic import atomic_path

_ABOUT = "shopsight"
_MODEL, _MOMENTS = "model.", "optimizer."
_AT_ONCE = 1 << 20  # numbers that are looked at together


def save_weights(path: Path, model: nn.Module, about: Mapping[str, Any]) -> None:
    """Write a model's weights.

    Args:
        path: the file; an existing one is replaced once the new one is complete.
        model: shared weights are written once, and on the CPU.
        about: what JSON can hold, for the header.

    Raises:
        OutputError: the file cannot be written, or a weight is not a finite number.
    """
    _write(path, {_MODEL + name: tensor for name, tensor in _weights(model)}, about)


def load_weights(path: Path, model: nn.Module) -> dict[str, Any]:
    """Put what `save_weights` or `save_checkpoint` wrote into a model of the same layers.

    Returns:
        What was said about it.

    Raises:
        DataError: the file is missing or damaged, or is of a model with other layers.
    """
    tensors, about = _read(path, _MODEL)
    _fill(model, tensors, path)
    return about


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: Optimizer, about: Mapping[str, Any]
) -> None:
    """Write all that training needs to go on; see `save_weights`."""
    tensors = {_MODEL + name: tensor for name, tensor in _weights(model)}
    names: dict[Tensor, str] = {one: name for name, one in model.named_parameters()}
    for parameter, moments in optimizer.state.items():
        for key, moment in moments.items():
            tensors[f"{_MOMENTS}{names[parameter]}/{key}"] = torch.as_tensor(moment)
    _write(path, tensors, about)


def load_checkpoint(path: Path, model: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    """Go back to where `save_checkpoint` was; see `load_weights`."""
    tensors, about = _read(path, "")
    parts = _split(tensors)
    _fill(model, parts[_MODEL], path)
    parameters = dict(model.named_parameters())
    optimizer.state.clear()
    for name, moment in parts[_MOMENTS].items():
        place, _, key = name.rpartition("/")
        parameter = parameters[place]
        at = moment.device if key == "step" and not moment.dim() else parameter.device
        optimizer.state[parameter][key] = moment.to(at)
    return about


def load_part(path: Path, prefix: str, part: nn.Module) -> None:
    """Put the weights whose names begin with ``prefix`` into a part; see `load_weights`."""
    _fill(part, _read(path, _MODEL + prefix)[0], path)


def _weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every weight and buffer that is saved, shared ones once, by its first name."""
    saved = set(model.state_dict())
    yield from model.named_parameters()
    yield from ((name, buffer) for name, buffer in model.named_buffers() if name in saved)


def _split(tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    return {
        part: {name[len(part) :]: one for name, one in tensors.items() if name.startswith(part)}
        for part in (_MODEL, _MOMENTS)
    }


def _fill(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    own = dict(_weights(model))
    if own.keys() != tensors.keys():
        name = sorted(own.keys() ^ tensors.keys())[0]
        raise DataError(f"{path}: of a model with other layers ({name} is in one of them only)")
    with torch.no_grad():
        for name, tensor in own.items():
            if tensor.shape != tensors[name].shape:
                there, here = tuple(tensors[name].shape), tuple(tensor.shape)
                raise DataError(f"{path}: {name} has the shape {there} there and {here} here")
            tensor.copy_(tensors[name])


def _write(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    for name, tensor in plain.items():
        if tensor.is_floating_point() and not all(
            map(_finite, torch.split(tensor.flatten(), _AT_ONCE))
        ):
            raise OutputError(f"{path}: not written, {name} is no longer finite")
    with atomic_path(path) as temporary:
        try:
            save_file(plain, temporary, metadata={_ABOUT: json.dumps(dict(about))})
        except (OSError, SafetensorError) as error:
            raise OutputError(f"{path}: cannot write, {_reason(error)}") from error


def _finite(numbers: Tensor) -> bool:
    return bool(numbers.isfinite().all())


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = str(error).lower()  # "Error while serializing: I/O error: No space left on device (...)"
    return text.rpartition("i/o error: ")[2].partition(" (os error")[0].strip('"')


def _read(path: Path, prefix: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors whose names begin with ``prefix`` (without it), and what is said about them."""
    with _opened(path) as file:
        about: dict[str, Any] = json.loads(file.metadata()[_ABOUT])
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
        return {name[len(prefix) :]: file.get_tensor(name) for name in names}, about


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, "pt") as file:
            if _ABOUT not in (file.metadata() or {}):
                raise ValueError("of another program")
            yield file
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; that stage was not trained here") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: damaged, or no weights of shopsight; delete it") from error
