"""Take over finished stages of another run that this run would train identically."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from typing import Any

from shopsight.config import Recipe
from shopsight.errors import DataError
from shopsight.formats.atomic import atomic_folder
from shopsight.inference.run_folder import FREE_SETTINGS, RunFolder, flattened
from shopsight.models.registry import model_names

_COPIED = ("best.safetensors", "metrics.jsonl", "done.json")


def take_over(run: RunFolder, other: RunFolder) -> list[str]:
    """Copy, and return, the stages of another run that this run would train identically.

    A stage is identical if all settings that its weights depend on are. Stages that this run has
    begun are left alone.

    Raises:
        DataError: the other run has other data, or lacks a file of a stage.
        OutputError: a file cannot be written.
    """
    if run.manifest["files"] != other.manifest["files"]:
        raise DataError(f"{other.path}: trained on other data; its stages cannot be taken over")
    copied: list[str] = []
    for stage in model_names():
        possible = other.stage(stage).done() is not None and not run.stage(stage).path.exists()
        if possible and _decisive(run.recipe, stage) == _decisive(other.recipe, stage):
            _copy(other.stage(stage).path, run.stage(stage).path)
            copied.append(stage)
    return copied


def _decisive(recipe: Recipe, stage: str) -> dict[str, Any]:
    """The settings that decide the weights of a stage."""
    values, config = asdict(recipe), recipe.model(stage)
    shared = {key: reduce(lambda part, name: part[name], key.split("."), values)
              for key in config.depends_on}  # fmt: skip
    needed = {name: _decisive(recipe, name) for name in config.starts_from}
    flat = flattened({"own": asdict(config), **shared, "needed": needed})
    return {key: value for key, value in flat if key.rpartition(".")[2] not in FREE_SETTINGS}


def _copy(source: Path, target: Path) -> None:
    """Copy the files of a finished stage that are used; the folder appears complete."""
    with atomic_folder(target) as partial:
        for folder in [source, *sorted(source.glob("phase-*"))]:
            into = partial / folder.relative_to(source)
            into.mkdir(exist_ok=True)
            for name in _COPIED:
                if not (folder / name).is_file():
                    raise DataError(f"{folder / name}: missing; the stage cannot be taken over")
                shutil.copy2(folder / name, into / name)
