from __future__ import annotations

import pytest
import torch

from shopsight.device import choose_device
from shopsight.errors import UsageError


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("cuda:99", r"device cuda:99 not available: this machine has \d+ GPUs"),
        ("mps", "device mps not available on this machine"),
        ("gpu", r"unknown device 'gpu' \(known: auto, cpu, cuda, mps\)"),
    ],
)
def test_an_unavailable_device_raises(name: str, error: str) -> None:
    if name == "mps" and torch.backends.mps.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(UsageError, match=error):
        choose_device(name)
