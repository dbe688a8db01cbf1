"""Identity of region features: models read only features of the kind they were trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shopsight.data.dataset import PreparedData
from shopsight.errors import DataError

EXTRACTOR = "extractor"
# Settings that decide the features; which boxes are proposed or detected, and how many, is free.
_SETTINGS = ("extractor", "processor", "signed", "network", "canvas")


def feature_source(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The extractor saved in a prepared folder or an index: kind, input and weights.

    Empty if the folder has none: precomputed features, or those of the competition.
    """
    path = folder / EXTRACTOR / "settings.json"
    if not path.is_file():
        return {}
    saved = json.loads(path.read_bytes())
    weights = {
        name: entry["sha256"]
        for name, entry in sorted(files.items())
        if name.startswith(f"{EXTRACTOR}/") and name.endswith(".safetensors")
        if not name.startswith(f"{EXTRACTOR}/detector/")
    }
    return {name: saved[name] for name in _SETTINGS if name in saved} | {"weights": weights}


def check_features(
    data: PreparedData, width: int, source: Mapping[str, Any], owner: str | Path
) -> None:
    """Raise DataError unless models trained on other features can read those of ``data``.

    Args:
        data: the data to rank, describe or index.
        width: feature dimension of the training data.
        source: `feature_source` of the training data; empty if unknown.
        owner: run folder or index with the models.
    """
    if data.store.width != width:
        raise DataError(
            f"{data.path}: the feature dimension is {data.store.width}, but the models of {owner}"
            f" were trained with {width}; prepare it like the training data"
        )
    own = feature_source(data.path, data.manifest["files"])
    if own and source and own != source:
        theirs = source["extractor"]
        how = f"those of '{theirs}'" if theirs != own["extractor"] else "another one of that kind"
        raise DataError(
            f"{data.path}: its regions come from the extractor '{own['extractor']}', but the models"
            f" of {owner} were trained on {how}; prepare it with --extractor TRAINING-DATA"
        )
