"""Choice of the device that models run on."""

from __future__ import annotations

import torch

from shopsight.errors import UsageError


def choose_device(name: str = "auto", local_rank: int = 0) -> torch.device:
    """The device of a name; "auto" takes a GPU if there is one.

    Args:
        name: "auto", "cpu", "cuda", "cuda:1" or "mps".
        local_rank: the GPU for "cuda" without a number: each process of a machine has its own.

    Raises:
        UsageError: an unknown name, or a device that this machine does not have.

    >>> choose_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        mps = torch.backends.mps.is_available()
        name = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"unknown device '{name}' (known: auto, cpu, cuda, mps)") from error
    if device.type == "cuda":
        count = torch.cuda.device_count()
        index = local_rank if device.index is None else device.index
        if index >= count:
            raise UsageError(f"device cuda:{index} not available: this machine has {count} GPUs")
        device = torch.device("cuda", index)
    elif device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device mps not available on this machine")
    return device
