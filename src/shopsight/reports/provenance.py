"""Where the figures of a report come from: versions, recipe, data, machine."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shopsight import __version__
from shopsight.config import Recipe
from shopsight.config.recipes import load_recipe, recipe_names
from shopsight.inference.run_folder import FREE_SETTINGS, RunFolder, flattened


def provenance(folder: RunFolder) -> dict[str, Any]:
    """Date, versions, seed, recipe, data and machine of the process that writes a report."""
    base, changes = recipe_difference(folder.recipe)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
        "libraries": f"Python {platform.python_version()}, torch {torch.__version__},"
        f" numpy {np.__version__}",
        "recipe": base,
        "changes": changes,
        "seed": folder.recipe.seed,
        "data": fingerprint(folder.manifest["files"]),
        "machine": f"{platform.system()} {platform.machine()}, {_processor()},"
        f" {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def recipe_difference(recipe: Recipe) -> tuple[str, dict[str, str]]:
    """The built-in recipe that is nearest, and the settings that differ from it.

    >>> recipe_difference(load_recipe("tiny", ["dual.width=32"]))
    ('tiny', {'dual.width': '128 → 32'})
    """
    own = dict(flattened(asdict(recipe)))
    candidates = []
    for name in recipe_names():
        theirs = dict(flattened(asdict(load_recipe(name))))
        keys = [key for key in own if own[key] != theirs.get(key) and not _free(key)]
        candidates.append(
            (len(keys), name, {key: f"{theirs.get(key)} → {own[key]}" for key in keys})
        )
    _, name, changes = min(candidates, key=lambda candidate: candidate[:2])
    return name, changes


def fingerprint(files: Mapping[str, Any]) -> str:
    """Short checksum of the checksums of prepared data: equal for equal data.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    text = json.dumps(files, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _free(key: str) -> bool:
    return key == "seed" or key.rpartition(".")[2] in FREE_SETTINGS


def _processor() -> str:
    """Name of the processor; that of the architecture where the system does not tell."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"
