"""Trains the stages of a run in processes of its own: ``stage_process.py DATA RUN [die=STAGE:N]``.

With ``die`` the process kills itself, as ``kill -9`` would, in the Nth step of a stage.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

from shopsight.config import Recipe
from shopsight.config.overrides import changed
from shopsight.data.dataset import PreparedData
from shopsight.inference.run_folder import RunFolder
from shopsight.models.registry import model_specs
from shopsight.training import loop
from shopsight.training.distributed import init_distributed
from shopsight.training.session import TrainingSession

torch.set_num_threads(1)  # tiny tensors, and other processes on the same cores
# Without those that need files of photos.
MODELS = [spec.name for spec in model_specs() if not spec.needs]
_TRAIN = {"epochs": 2, "batch": 64, "lr": 2e-3, "checkpoint_steps": 3}
SMALL = {
    "words": {"width": 12},
    "encoder": {
        "features": {"standardise": True, "components": 8},
        "box_hidden": 4,
        "attention_heads": 2,
        "feedforward": 16,
        "weight_hidden": 8,
        "embed_hidden": 16,
        "dropout": 0.0,
    },
    "negatives": {"clusters": 5, "dimensions": 4, "neighbours": 3},
    "label_match": {"train": _TRAIN, "hardest_negatives": 20},
    "word_match": {
        "train": _TRAIN,
        "gru_hidden": 6,
        "match_hidden": 8,
        "encoder_lr": 1e-3,
        "dropout": 0.0,
    },
    "sentence_match": {
        "train": _TRAIN,
        "gru_hidden": 6,
        "encoder_lr": 1e-3,
        "dropout": 0.0,
        "false_negatives": "subset",
    },
    "word_head": {"train": _TRAIN, "hidden": 16, "dropout": 0.0, "hidden_dropout": 0.0},
    "dual": {
        "train": {**_TRAIN, "warmup_steps": 4},
        "width": 8,
        "out": 8,
        "towers": 2,
        "heads": 2,
        "image_layers": 1,
        "text_layers": 1,
        "dropout": 0.0,
        "word_dropout": 0.0,
        "word_drop": 0.0,
        "hard_fraction": 0.5,
        "hard_from_epoch": 1,
        "phase2_epochs": 1,
    },
    "cross": {
        "train": _TRAIN,
        "heads": 2,
        "layers": 1,
        "sample": 6,
        "dropout": 0.0,
        "candidates": {"clicked": 2, "nearest": 6, "near": 3, "near_depth": 20, "random": 3},
    },
    "student": {
        "train": _TRAIN,
        "dropout": 0.0,
        "candidates": {"clicked": 2, "nearest": 6, "near": 3, "near_depth": 20, "random": 3},
    },
}


def small_recipe(**changes: dict) -> Recipe:
    return changed(changed(Recipe(), SMALL), changes)


def die_at(step: int) -> None:
    """Let the Nth step be the last thing that this process does."""
    original, left = loop.average_gradients, [step]

    def pluralise(*args):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args)

    loop.average_gradients = pluralise


def main(data_folder: str, run_folder: str, options: dict[str, str]) -> None:
    torch.set_default_dtype(torch.float64)
    data, recipe = PreparedData.open(data_folder), small_recipe()
    with init_distributed("cpu") as context:
        if context.main:
            RunFolder.open(run_folder, recipe, data)
        context.barrier()
        session = TrainingSession(data, RunFolder.read(run_folder), context)
        for stage in MODELS:
            dying, _, step = options.get("die", "").partition(":")
            if dying == stage and context.main:
                die_at(int(step))
            session.train_stage(stage)


if __name__ == "__main__":
    main(str(Path(sys.argv[1])), sys.argv[2], dict(option.split("=") for option in sys.argv[3:]))
