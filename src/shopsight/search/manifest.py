"""The index folder: parts that never change, and the one file that says which of them count.

``index.json`` names the parts (``part-000001/`` ...), for each its removed rows
(``removed-000003-part-000001.npy``), and every file's size and checksum. A change writes new
files under new names, then replaces ``index.json`` in one rename: whoever opens the folder sees
the old index or the new one, and a process that dies leaves the old one and some unused files,
which the next change removes. The files of the state before the last stay for one change more,
for a reader that is just opening them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import shopsight
from shopsight.config import IndexConfig
from shopsight.config.overrides import changed
from shopsight.errors import DataError, ShopsightError
from shopsight.formats.atomic import atomic_write
from shopsight.formats.manifest import ManifestFormat

INDEX_FILE = "index.json"
INDEX = ManifestFormat(INDEX_FILE, "index", 2, "build the index again")
MODELS, EXTRACTOR = "models", "extractor"
_SEGMENT, _REMOVED, _PENDING, _PREVIOUS = "segment-", "removed-", "pending-", "previous.json"


@dataclass(frozen=True)
class SegmentInfo:
    """Entry of one segment in ``index.json``.

    Attributes:
        name: folder name.
        rows: products in the segment, including removed ones.
        removed: number of removed rows.
        removed_file: file that lists them, or "".
        faiss: parameters of the segment's Faiss index.
    """

    name: str
    rows: int
    removed: int = 0
    removed_file: str = ""
    faiss: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Generation:
    """One state of an index: the content of ``index.json``.

    Attributes:
        number: counts the changes.
        identity: of the index, through all its changes.
        settings: how it is made.
        models: weight of each model that ranks again, by name.
        normalise: what is done to a model's scores before they are added.
        feature_width: F of the data it takes.
        segments: oldest first.
        files: size and SHA-256 by path inside the folder.
        created: version of shopsight that began it.
    """

    number: int
    identity: str
    settings: IndexConfig
    models: Mapping[str, float]
    normalise: str
    feature_width: int
    segments: tuple[SegmentInfo, ...] = ()
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    created: str = shopsight.__version__

    @property
    def products(self) -> int:
        """How many products can be found."""
        return sum(segment.rows - segment.removed for segment in self.segments)

    def to_json(self) -> dict[str, Any]:
        """What is written."""
        return {"products": self.products, **asdict(self)}


def read_generation(folder: str | Path) -> Generation:
    """Read ``index.json``.

    Raises:
        DataError: there is none, or one that is damaged or of another version.
    """
    folder = Path(folder)
    if not (folder / INDEX_FILE).exists() and any(folder.glob(f"{_PENDING}*")):
        reason = "an index that is not finished; run the command that began it again"
        raise DataError(f"{folder}: {reason}")
    content = INDEX.read(folder)
    try:
        return _parsed(content)
    except (KeyError, TypeError, ValueError, AttributeError, ShopsightError) as error:
        raise DataError(f"{folder / INDEX_FILE}: damaged ({error}); {INDEX.remedy}") from error


def write_generation(folder: Path, found: Generation) -> None:
    """Make a state the current one, in one rename, and remove what only older states used."""
    path = folder / INDEX_FILE
    if path.exists():
        with atomic_write(folder / _PREVIOUS) as file:
            file.write(path.read_text(encoding="utf-8"))
    INDEX.write(folder, found.to_json())
    clear(folder)


def clear(folder: Path) -> None:
    """Remove parts, lists of removed rows and temporary files that no state uses."""
    used = {_PREVIOUS}
    for name in (INDEX_FILE, _PREVIOUS):
        try:
            content = json.loads((folder / name).read_bytes())
            for segment in content["segments"]:
                used |= {segment["name"], segment["removed_file"]}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    for path in folder.iterdir():
        ours = path.name.startswith((_SEGMENT, _REMOVED)) or path.name.endswith(".tmp")
        if ours and path.name not in used:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def pending(folder: Path, key: str) -> Path:
    """The folder of a part that is being written; an unfinished one of another content goes."""
    wanted = folder / f"{_PENDING}{key}"
    for path in folder.glob(f"{_PENDING}*"):
        if path != wanted:
            shutil.rmtree(path)
    wanted.mkdir(parents=True, exist_ok=True)
    return wanted


def drop_pending(folder: Path) -> None:
    """Remove every part that is being written."""
    for path in folder.glob(f"{_PENDING}*"):
        shutil.rmtree(path)


def segment_name(folder: Path) -> str:
    """A name that no part of the folder has."""
    numbers = [int(path.name[len(_SEGMENT) :]) for path in folder.glob(f"{_SEGMENT}*")]
    return f"{_SEGMENT}{max(numbers, default=0) + 1:06d}"


def removed_name(number: int, segment: str) -> str:
    """The file of a part's removed rows in a generation."""
    return f"{_REMOVED}{number:06d}-{segment}.npy"


def _parsed(content: dict[str, Any]) -> Generation:
    segments = tuple(
        SegmentInfo(str(entry["name"]), int(entry["rows"]), int(entry["removed"]),
                    str(entry["removed_file"]), dict(entry["faiss"]))
        for entry in content["segments"]
    )  # fmt: skip
    files = {
        str(name): {"bytes": int(one["bytes"]), "sha256": str(one["sha256"])}
        for name, one in content["files"].items()
    }
    for name in (*files, *(segment.name for segment in segments)):
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"the name {name!r} leads out of the folder")
    return Generation(
        int(content["number"]),
        str(content["identity"]),
        changed(IndexConfig(), content["settings"]),
        {str(name): float(weight) for name, weight in content["models"].items()},
        str(content["normalise"]),
        int(content["feature_width"]),
        segments,
        files,
        str(content["created"]),
    )
