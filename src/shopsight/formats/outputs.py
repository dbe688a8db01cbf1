"""Checks of outputs before the work: what cannot be written at the end is an error at the start."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from shopsight.errors import OutputError
from shopsight.formats.atomic import resolve_output, write_errors
from shopsight.formats.manifest import FORMAT

_MANIFESTS = ("data.json", "run.json", "index.json")


def check_output_file(path: str | Path, inputs: Iterable[object] = ()) -> None:
    """Raise OutputError unless a file can be written to ``path``.

    It must not replace one of ``inputs`` (paths; anything else is ignored) or the manifest of a
    folder that shopsight made.
    """
    target = resolve_output(path)
    _probe(target.parent, target)
    if not target.exists():
        return
    for source in inputs:
        if isinstance(source, str | Path) and Path(source).exists() and target.samefile(source):
            raise OutputError(f"{path}: is an input of this command; name another output file")
    if target.name in _MANIFESTS and _is_manifest(target):
        raise OutputError(f"{path}: describes the folder {target.parent}; name another output file")


def check_suffix(path: str | Path, known: tuple[str, ...]) -> None:
    """Raise OutputError for a file name whose ending does not tell one of the known formats."""
    if not str(path).endswith(known):
        endings = ", ".join(known)
        raise OutputError(f"{path}: the ending does not tell the format (known: {endings})")


def check_output_folder(path: str | Path, manifests: Iterable[str] = ("data.json",)) -> None:
    """Raise OutputError unless a folder can be created at ``path``, or written if it exists.

    It must not lie inside a folder with one of ``manifests``, whose owner may replace all of it.
    """
    folder = Path(path)
    resolved = folder.resolve()
    for parent in resolved.parents:
        for name in manifests:
            if _is_manifest(parent / name):
                raise OutputError(f"{folder}: lies inside {parent}; choose another folder")
    existing = _existing(resolved)
    if not existing.is_dir():
        raise OutputError(f"{folder}: cannot be a folder, because {existing} is a file")
    _probe(existing, folder)


def check_space(path: str | Path, needed: int, purpose: str) -> None:
    """Raise OutputError if ``path`` cannot grow to ``needed`` bytes on its disk."""
    free = shutil.disk_usage(_existing(Path(path).resolve())).free
    present = sum(p.stat().st_size for p in Path(path).rglob("*") if p.is_file())
    if free + present < needed:
        raise OutputError(
            f"{path}: {purpose} takes {needed / 1e9:,.2f} GB, but only {free / 1e9:,.2f} GB of the"
            " disk are free"
        )


def _existing(path: Path) -> Path:
    """A path, or the nearest of its parents that exists."""
    return next(place for place in (path, *path.parents) if place.exists())


def _probe(folder: Path, target: Path) -> None:
    """Create a file in ``folder`` and delete it; permissions say nothing of read-only disks."""
    if not folder.is_dir():
        raise OutputError(f"{target}: cannot write, the folder {folder} does not exist")
    with write_errors(target), tempfile.TemporaryFile(dir=folder):
        pass


def _is_manifest(path: Path) -> bool:
    return path.is_file() and FORMAT in path.read_bytes()[:4096]
