"""The index folder: immutable segments, and ``index.json``, which lists the current ones.

``index.json`` lists the segments (``segment-000001/`` ...), for each its removed rows
(``removed-000003-segment-000001.npy``), and the size and checksum of every file. A change writes
new files, then replaces ``index.json`` in one rename: a reader sees the old state or the new one,
and a killed writer leaves the old state and unused files, which the next change deletes. Files of
the previous state are kept for one more change, for readers that are just opening them.
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
from shopsight.errors import DataError, OutputError, ShopsightError, pluralise
from shopsight.formats.atomic import atomic_write
from shopsight.formats.manifest import ManifestFormat
from shopsight.formats.outputs import check_output_folder

INDEX_FILE = "index.json"
INDEX = ManifestFormat(INDEX_FILE, "index", 3, "build the index again")
MODELS, EXTRACTOR = "models", "extractor"
_SEGMENT, _REMOVED, _PENDING, _PREVIOUS = "segment-", "removed-", "pending-", "previous.json"


@dataclass(frozen=True)
class SegmentInfo:
    """Entry of a segment in ``index.json``.

    Attributes:
        rows: number of products, including removed ones.
        removed_file: file that lists the removed rows, or "".
        faiss: parameters of the segment's Faiss index.
    """

    name: str
    rows: int
    removed: int = 0
    removed_file: str = ""
    faiss: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Generation:
    """A state of an index: the content of ``index.json``.

    Attributes:
        number: incremented by every change.
        identity: random id of the index, constant over its changes.
        models: ensemble weight by name of the model.
        normalise: score normalisation of the ensemble.
        feature_width: feature dimension F of its data.
        segments: oldest first.
        text_weight: of the words that training queries hold (`shopsight.search.lexical`).
        cutoff: cosine of the least similar match of a text query (`shopsight.search.fit`).
        files: size and SHA-256 by path inside the folder.
        created: shopsight version that built it.
    """

    number: int
    identity: str
    settings: IndexConfig
    models: Mapping[str, float]
    normalise: str
    feature_width: int
    segments: tuple[SegmentInfo, ...] = ()
    cutoff: float | None = None
    text_weight: float = 0.0
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    created: str = shopsight.__version__

    @property
    def products(self) -> int:
        """Number of products, without removed ones."""
        return sum(segment.rows - segment.removed for segment in self.segments)

    def __str__(self) -> str:
        products, segments = pluralise(self.products, "product"), len(self.segments)
        return f"{products} in {pluralise(segments, 'segment')}, generation {self.number}"


def check_new_index(folder: Path) -> None:
    """Raise OutputError unless an index can be built, or its build resumed, in a folder."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; choose another folder")
    if (folder / INDEX_FILE).exists():
        raise OutputError(
            f"{folder}: already an index; change it with `shopsight index add`, `update` or"
            " `remove`, or choose another folder"
        )
    names = (path.name for path in folder.iterdir()) if folder.is_dir() else ()
    if foreign := sorted(name for name in names if not is_index_file(name)):
        raise OutputError(f"{folder}: not an index, but it contains {foreign[0]}")
    check_output_folder(folder, ("data.json", INDEX_FILE))


def read_generation(folder: str | Path) -> Generation:
    """Read ``index.json``."""
    folder = Path(folder)
    if not (folder / INDEX_FILE).exists() and any(folder.glob(f"{_PENDING}*")):
        raise DataError(f"{folder}: unfinished index; run the same `index build` again")
    content = INDEX.read(folder)
    try:
        return _parsed(content)
    except (KeyError, TypeError, ValueError, AttributeError, ShopsightError) as error:
        raise DataError(f"{folder / INDEX_FILE}: damaged ({error}); {INDEX.remedy}") from error


def write_generation(folder: Path, generation: Generation) -> None:
    """Make a generation the current one in one rename, and delete what only older ones used."""
    path = folder / INDEX_FILE
    # Kept for a reader that read the old manifest and is still opening its segments.
    if path.exists():
        with atomic_write(folder / _PREVIOUS) as file:
            file.write(path.read_text(encoding="utf-8"))
    INDEX.write(folder, {"products": generation.products, **asdict(generation)})
    _delete_unused(folder)


def _delete_unused(folder: Path) -> None:
    """Delete segments, removed rows and temporary files that neither state uses."""
    used = {_PREVIOUS}
    for name in (INDEX_FILE, _PREVIOUS):
        try:
            content = json.loads((folder / name).read_bytes())
            for segment in content["segments"]:
                used |= {segment["name"], segment["removed_file"]}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    for path in folder.iterdir():
        temporary = path.name.startswith((_SEGMENT, _REMOVED)) or path.name.endswith(".tmp")
        if temporary and path.name not in used:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def is_index_file(name: str) -> bool:
    """Test whether an unfinished index folder may contain a file."""
    return name.startswith((MODELS, EXTRACTOR, _PENDING, _SEGMENT, "."))


def pending(folder: Path, key: str) -> Path:
    """The folder of a segment being written; partial segments of other content are deleted."""
    partial = folder / f"{_PENDING}{key}"
    drop_pending(folder, keep=partial)
    partial.mkdir(parents=True, exist_ok=True)
    return partial


def drop_pending(folder: Path, keep: Path | None = None) -> None:
    """Delete partial segments."""
    for path in folder.glob(f"{_PENDING}*"):
        if path != keep:
            shutil.rmtree(path)


def segment_name(folder: Path) -> str:
    """An unused segment name."""
    numbers = [int(path.name[len(_SEGMENT) :]) for path in folder.glob(f"{_SEGMENT}*")]
    return f"{_SEGMENT}{max(numbers, default=0) + 1:06d}"


def removed_name(number: int, segment: str) -> str:
    """File of a segment's removed rows in a generation."""
    return f"{_REMOVED}{number:06d}-{segment}.npy"


def _parsed(content: dict[str, Any]) -> Generation:
    segments = tuple(
        SegmentInfo(str(entry["name"]), int(entry["rows"]), int(entry["removed"]),
                    str(entry["removed_file"]), dict(entry["faiss"]))
        for entry in content["segments"]
    )  # fmt: skip
    files = {
        str(name): {"bytes": int(entry["bytes"]), "sha256": str(entry["sha256"])}
        for name, entry in content["files"].items()
    }
    for name in (*files, *(segment.name for segment in segments)):
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"the name {name!r} leads outside the folder")
    return Generation(
        int(content["number"]),
        str(content["identity"]),
        changed(IndexConfig(), content["settings"]),
        {str(name): float(weight) for name, weight in content["models"].items()},
        str(content["normalise"]),
        int(content["feature_width"]),
        segments,
        None if content["cutoff"] is None else float(content["cutoff"]),
        float(content["text_weight"]),
        files,
        str(content["created"]),
    )
