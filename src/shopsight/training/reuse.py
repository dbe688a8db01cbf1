"""Finished stages of another run that this one would train alike: taken over, not trained again."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from shopsight.config import STAGES
from shopsight.errors import DataError
from shopsight.formats.atomic import atomic_folder
from shopsight.inference.run_folder import FREE_SETTINGS, RunFolder

_SHARED = ("seed", "words", "encoder", "negatives")
_KEPT = ("best.safetensors", "metrics.jsonl", "done.json")


def take_over(run: RunFolder, other: RunFolder) -> list[str]:
    """Copy the finished stages of another run that this run's recipe would train the same way.

    A stage is the same where all settings that it depends on are, its own and those of the stage
    it starts from. Stages that this run has begun are left alone.

    Args:
        run: where they go.
        other: where they are.

    Returns:
        The stages that were copied.

    Raises:
        DataError: the other run is of other data, or without one of the files of a stage.
        OutputError: a file cannot be written.
    """
    if run.manifest["files"] != other.manifest["files"]:
        raise DataError(f"{other.path}: trained on other data; its stages cannot be taken over")
    mine, theirs = asdict(run.recipe), asdict(other.recipe)
    copied: list[str] = []
    for stage in STAGES:
        begun = run.stage(stage).path.exists()
        finished = other.stage(stage).done() is not None
        if finished and not begun and _wanted(mine, stage) == _wanted(theirs, stage):
            _copy(other.stage(stage).path, run.stage(stage).path)
            copied.append(stage)
    return copied


def _wanted(recipe: Mapping[str, Any], stage: str) -> dict[str, Any]:
    """The settings that decide what a stage yields."""
    own = recipe[stage.replace("-", "_")]
    shared = own["vectors"] == "shared" if stage == "dual" else own.get("pretrained", True)
    wanted = {"own": own, **{name: recipe[name] for name in _SHARED}}
    if stage == "dual" and not shared:
        del wanted["encoder"]
        wanted["words"] = {"merge_plurals": recipe["words"]["merge_plurals"]}  # all models read so
    if stage != "label-match" and shared:
        wanted["label-match"] = recipe["label_match"]
    return _without_free(wanted)


def _without_free(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_free(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
        if key not in FREE_SETTINGS
    }


def _copy(source: Path, target: Path) -> None:
    """Copy the files of a finished stage that are used; the folder appears complete."""
    with atomic_folder(target) as partial:
        for folder in [source, *sorted(source.glob("phase-*"))]:
            into = partial / folder.relative_to(source)
            into.mkdir(exist_ok=True)
            for name in _KEPT:
                if not (folder / name).is_file():
                    raise DataError(f"{folder / name}: missing; the stage cannot be taken over")
                shutil.copy2(folder / name, into / name)
