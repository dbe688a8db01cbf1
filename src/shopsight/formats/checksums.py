"""Checksums of written files, and fingerprints of inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from shopsight.errors import DataError

Entries = Mapping[str, Mapping[str, Any]]
"""``{path inside its folder: {"bytes": size, "sha256": hex digest}}``, as manifests hold them."""

_SAMPLE = 1 << 16


def checksums(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of files, and of every file below folders, by path inside ``folder``."""
    paths: list[Path] = []
    for path in (folder / name for name in names):
        below = sorted(file for file in path.rglob("*") if file.is_file())
        paths += below if path.is_dir() else [path]
    # hashlib releases the GIL, so that threads use every core.
    with ThreadPoolExecutor() as pool:
        entries = pool.map(_entry, paths)
        return {p.relative_to(folder).as_posix(): e for p, e in zip(paths, entries, strict=True)}


def check_sizes(folder: Path, entries: Entries, remedy: str) -> None:
    """Raise DataError for the first file that is missing or of another size."""
    for name, entry in entries.items():
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path}: missing; {remedy}")
        size = path.stat().st_size
        if size != entry["bytes"]:
            raise DataError(f"{path}: {size:,} bytes instead of {entry['bytes']:,}; {remedy}")


def check_contents(
    folder: Path,
    entries: Entries,
    remedy: str,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Raise DataError for the first file that is missing or whose content changed."""
    check_sizes(folder, entries, remedy)
    with ThreadPoolExecutor() as pool:
        found = pool.map(_entry, [folder / name for name in entries])
        for done, (name, entry, now) in enumerate(
            zip(entries, entries.values(), found, strict=True), start=1
        ):
            if now["sha256"] != entry["sha256"]:
                raise DataError(f"{folder / name}: content changed since it was written; {remedy}")
            if progress:
                progress("check", done, len(entries))


def fingerprint(chunks: Iterable[Any]) -> str:
    """A short hash of texts and buffers in their order.

    >>> fingerprint(["ab", b"c"]) == fingerprint([b"ab", "c"]) != fingerprint(["a", "bc"])
    True
    """
    digest = hashlib.blake2b(digest_size=16)
    for chunk in chunks:
        data = memoryview(chunk.encode() if isinstance(chunk, str) else chunk)
        # The length keeps ("ab", "c") and ("a", "bc") apart.
        digest.update(data.nbytes.to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def file_fingerprint(path: Path) -> str:
    """A hash of a file's size, modification time and both ends.

    Raw tables have many gigabytes; reading them whole to see that they changed takes minutes.
    """
    status = path.stat()
    with open(path, "rb") as file:
        head = file.read(_SAMPLE)
        file.seek(max(status.st_size - _SAMPLE, 0))
        return fingerprint([str(status.st_size), str(status.st_mtime_ns), head, file.read(_SAMPLE)])


def _entry(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}
