"""Which raw files a folder holds, and what a split is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from shopsight.data.split_names import SPLIT_ORDER
from shopsight.errors import InputError, UsageError
from shopsight.formats.checksums import file_fingerprint, fingerprint
from shopsight.formats.content import STDIN
from shopsight.prepare.kddcup.parser import LABELS_FILE


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
        """Changes with the file: its size, its time, a hash of both ends, and its answers."""
        if self.is_stdin:
            return f"{self.name}:-"
        judgements = [self.answers.read_bytes()] if self.answers else []
        return f"{self.name}:{fingerprint([file_fingerprint(self.path), *judgements])}"


@dataclass(frozen=True)
class RawFolder:
    """The raw files of a preparation.

    Attributes:
        splits: in the order in which they are read.
        labels: the label file, if there is one.
    """

    splits: tuple[RawSplit, ...]
    labels: Path | None

    def fingerprint(self) -> str:
        """Changes with any of the files."""
        labels = fingerprint([self.labels.read_bytes()]) if self.labels else "none"
        return "; ".join([f"labels:{labels}", *(split.fingerprint() for split in self.splits)])


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
    only = tuple(dict.fromkeys(only))
    if labels and not labels.is_file():
        raise InputError("no such file", path=labels)
    if str(raw) == STDIN:
        if len(only) != 1 or not re.fullmatch(r"[\w-]+", only[0]):
            raise UsageError("standard input holds one split: name it with --splits NAME")
        return RawFolder((RawSplit(only[0], raw),), labels)
    if not raw.exists():
        raise InputError("no such file or folder", path=raw)
    found: dict[str, RawSplit] = {}
    for split in _candidates(raw):
        if split.name in found:
            both = f"{found[split.name].path} and {split.path}"
            raise UsageError(f"split '{split.name}' stands twice: {both}; remove one")
        found[split.name] = split
    if not found:
        needed = "train/train.tsv or valid.tsv.gz" if raw.is_dir() else "a name in .tsv or .tsv.gz"
        raise InputError(f"no raw file here (needed: {needed}; - reads a pipe)", path=raw)
    missing = [name for name in only if name not in found]
    if missing:
        raise UsageError(f"{raw} has no split '{missing[0]}' (found: {', '.join(found)})")
    names = sorted(only or found, key=lambda name: (_place(name), name))
    return RawFolder(tuple(found[name] for name in names), labels or _labels_beside(raw))


def _candidates(raw: Path) -> list[RawSplit]:
    """The raw files of a folder: ``NAME.tsv`` in it or in its folder ``NAME``, or gzipped."""
    patterns = ("*.tsv", "*.tsv.gz", "*/*.tsv", "*/*.tsv.gz")
    files = sorted(path for one in patterns for path in raw.glob(one)) if raw.is_dir() else [raw]
    splits = []
    for path in files:
        name = path.name.removesuffix(".gz").removesuffix(".tsv")
        is_named = path.name in (f"{name}.tsv", f"{name}.tsv.gz") and name
        if (
            is_named
            and path.is_file()
            and (path.parent in (raw, raw.parent) or path.parent.name == name)
        ):
            answers = path.parent / f"{name}_answer.json"
            splits.append(RawSplit(name, path, answers if answers.exists() else None))
    return splits


def _labels_beside(raw: Path) -> Path | None:
    folder = raw.parent if raw.is_file() else raw
    places = [folder / LABELS_FILE, folder.parent / LABELS_FILE]
    return next((place for place in places[: 2 if raw.is_file() else 1] if place.exists()), None)


def _place(name: str) -> int:
    return SPLIT_ORDER.index(name) if name in SPLIT_ORDER else len(SPLIT_ORDER)
