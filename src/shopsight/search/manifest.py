"""The index folder: parts that never change, and the one file that says which of them count.

``index.json`` names the parts (``part-000001/`` ...), for each its removed rows
(``removed-000003-part-000001.npy``), and every file's size and checksum. A change writes new
files under new names, then replaces ``index.json`` in one rename: whoever opens the folder sees
the old index or the new one, and a process that dies leaves the old one and some unused files,
which the next change removes. The files of the state before the last stay for one change more,
for a reader that is just opening them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import shopsight
from shopsight.config import IndexConfig
from shopsight.config.overrides import changed
from shopsight.errors import DataError, OutputError, ShopsightError
from shopsight.formats.atomic import atomic_write

INDEX_FILE = "index.json"
FORMAT = "shopsight index"
FORMAT_VERSION = 2
MODELS, EXTRACTOR = "models", "extractor"
_SEGMENT, _REMOVED, _PENDING, _PREVIOUS = "segment-", "removed-", "pending-", "previous.json"
_LOCK = ".writing"


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
        about = {"format": FORMAT, "version": FORMAT_VERSION, "products": self.products}
        return {**about, **asdict(self)}


def read_generation(folder: str | Path) -> Generation:
    """Read ``index.json``.

    Raises:
        DataError: there is none, or one that is damaged or of another version.
    """
    folder = Path(folder)
    path = folder / INDEX_FILE
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        unfinished = folder.is_dir() and any(folder.glob(f"{_PENDING}*"))
        how = "an index that is not finished; run the command that began it again"
        raise DataError(
            f"{folder}: {how if unfinished else f'not an index (no {INDEX_FILE})'}"
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: damaged; build the index again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{path}: not the description of an index")
    if content.get("version") != FORMAT_VERSION:
        version = content.get("version")
        raise DataError(
            f"{path}: format version {version!r} is not supported (expected {FORMAT_VERSION});"
            " build the index again"
        )
    try:
        return _parsed(content)
    except (KeyError, TypeError, ValueError, AttributeError, ShopsightError) as error:
        raise DataError(f"{path}: damaged ({error}); build the index again") from error


def write_generation(folder: Path, found: Generation) -> None:
    """Make a state the current one, in one rename, and remove what only older states used."""
    path = folder / INDEX_FILE
    if path.exists():
        with atomic_write(folder / _PREVIOUS) as file:
            file.write(path.read_text(encoding="utf-8"))
    with atomic_write(path) as file:
        json.dump(found.to_json(), file, indent=1, ensure_ascii=False)
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


def checksums_of(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of files, and of every file of folders, by path inside ``folder``."""
    found = {}
    for name in names:
        path = folder / name
        files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        for one in files:
            with open(one, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            relative = one.relative_to(folder).as_posix()
            found[relative] = {"bytes": one.stat().st_size, "sha256": digest}
    return found


def check_sizes(folder: Path, found: Generation) -> None:
    """Refuse an index some of whose files are missing or have another size."""
    for name, entry in found.files.items():
        path = folder / name
        try:
            size = path.stat().st_size
        except OSError as error:
            raise DataError(f"{path}: missing; build the index again") from error
        if size != entry["bytes"]:
            raise DataError(f"{path}: {size:,} bytes, not the {entry['bytes']:,} written")


def sync_folder(folder: Path) -> None:
    """Wait until a folder's files are on disk."""
    for path in [folder, *folder.rglob("*")]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Be the only one who changes an index; a killed process no longer is.

    Raises:
        OutputError: another process changes it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OutputError(f"{folder}: cannot write, {(error.strerror or '').lower()}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(f"{folder}: another process is changing this index") from error
        yield
    finally:
        os.close(handle)


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
