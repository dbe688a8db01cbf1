"""Which raw files a folder holds, and what a split is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import xxhash

from shopsight.errors import InputError, UsageError
from shopsight.formats.kddcup import LABELS_FILE
from shopsight.formats.lines import STDIN

TRAIN = "train"
_ORDER = (TRAIN, "valid", "testA", "testB")
_ENDINGS = (".tsv", ".tsv.gz")
_SAMPLE = 1 << 16


@dataclass(frozen=True)
class RawSplit:
    """A split's raw file. Rows of ``train`` are clicked pairs, of any other split candidates.

    Attributes:
        name: train, valid, testA, testB or another file's stem.
        path: the file; "-" for standard input.
        answers: its answer file, if there is one.
    """

    name: str
    path: Path
    answers: Path | None = None

    @property
    def is_stdin(self) -> bool:
        """Whether the rows come from standard input."""
        return str(self.path) == STDIN

    def fingerprint(self) -> str:
        """Name, size and a hash of both ends of the file: enough to see that it changed."""
        if self.is_stdin:
            return f"{self.name}:-"
        size = self.path.stat().st_size
        with open(self.path, "rb") as file:
            ends = file.read(_SAMPLE)
            file.seek(max(size - _SAMPLE, 0))
            ends += file.read(_SAMPLE)
        return f"{self.name}:{size}:{xxhash.xxh3_64_hexdigest(ends)}"


@dataclass(frozen=True)
class RawFolder:
    """The raw files of a preparation.

    Attributes:
        splits: in the order in which they are read.
        labels: the label file, if there is one.
    """

    splits: tuple[RawSplit, ...]
    labels: Path | None


def find_raw(raw: Path, only: tuple[str, ...] = (), labels: Path | None = None) -> RawFolder:
    """Find the raw files in a folder, or take one file or standard input as a split.

    Args:
        raw: the raw folder (``train/train.tsv`` and so on, gzipped or not, or the files
            directly in it), a single ``.tsv`` or ``.tsv.gz`` file, or "-".
        only: the splits to take; all that are there by default. For "-", its one name.
        labels: the label file, where it is not beside the splits.

    Raises:
        InputError: no such folder, or no raw file in it.
        UsageError: a split that is not there, or "-" without one split's name.
    """
    if str(raw) == STDIN:
        if len(only) != 1 or not only[0].isalnum():
            raise UsageError("standard input holds one split: name it with --splits NAME")
        return RawFolder((RawSplit(only[0], raw),), labels)
    if not raw.exists():
        raise InputError("no such file or folder", path=raw)
    found = {raw_split.name: raw_split for raw_split in _candidates(raw)}
    if not found:
        raise InputError("no raw file here (such as train/train.tsv or valid.tsv.gz)", path=raw)
    missing = [name for name in only if name not in found]
    if missing:
        raise UsageError(f"{raw} has no split '{missing[0]}' (found: {', '.join(found)})")
    names = sorted(only or found, key=lambda name: (_place(name), name))
    return RawFolder(tuple(found[name] for name in names), labels or _labels_beside(raw))


def _candidates(raw: Path) -> list[RawSplit]:
    if raw.is_file():
        files = [raw]
    else:
        files = sorted(path for pattern in ("*", "*/*") for path in raw.glob(pattern + ".tsv*"))
    splits = []
    for path in files:
        name = next(
            (path.name.removesuffix(end) for end in _ENDINGS if path.name.endswith(end)), ""
        )
        in_place = path.parent == raw or path.parent.name == name or path == raw
        if name and in_place and path.is_file():
            answers = path.parent / f"{name}_answer.json"
            splits.append(RawSplit(name, path, answers if answers.exists() else None))
    return splits


def _labels_beside(raw: Path) -> Path | None:
    folder = raw.parent if raw.is_file() else raw
    places = [folder / LABELS_FILE, folder.parent / LABELS_FILE]
    return next((place for place in places[: 2 if raw.is_file() else 1] if place.exists()), None)


def _place(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)
