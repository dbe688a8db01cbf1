"""Split names and raw file discovery."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shopsight.data.split_names import SPLIT_ORDER
from shopsight.errors import InputError, UsageError
from shopsight.formats.checksums import file_fingerprint, fingerprint
from shopsight.formats.content import STDIN
from shopsight.prepare.kddcup.parser import LABELS_FILE


@dataclass(frozen=True)
class RawSplit:
    """A split's raw file, and its answer file, if any; "-" is standard input.

    Rows of ``train`` are clicked pairs, of any other split candidates.
    """

    name: str
    path: Path
    answers: Path | None = None

    @property
    def is_stdin(self) -> bool:
        """Whether the rows come from standard input."""
        return str(self.path) == STDIN

    def fingerprint(self) -> str:
        """Changes with the file and its answers."""
        if self.is_stdin:
            return f"{self.name}:-"
        answers = fingerprint([self.answers.read_bytes()]) if self.answers else "none"
        return f"{self.name}:{file_fingerprint(self.path)}:{answers}"


@dataclass(frozen=True)
class RawFolder:
    """The raw files of a preparation; the splits in the order in which they are read."""

    splits: tuple[RawSplit, ...]
    labels: Path | None

    @property
    def is_stream(self) -> bool:
        """Whether the rows come from standard input."""
        return any(split.is_stdin for split in self.splits)

    def changed(self, _: object) -> str:
        """What may have changed although the fingerprint is equal."""
        reason = "standard input may differ from what it was made from"
        return reason if self.is_stream else ""

    def fingerprint(self) -> str:
        """Changes with any of the files."""
        labels = fingerprint([self.labels.read_bytes()]) if self.labels else "none"
        return "; ".join([f"labels:{labels}", *(split.fingerprint() for split in self.splits)])


def find_raw(raw: Path, only: Sequence[str] = (), labels: Path | None = None) -> RawFolder:
    """Find the raw files in a folder, or take one file or standard input as a split.

    ``raw`` is a folder (with ``train/train.tsv`` and so on, gzipped or not, or the files directly
    in it), a single file, whose split ``only`` may name, or "-", whose split it must name. The
    label file is sought beside the splits unless ``labels`` names it.

    Raises:
        InputError: no such folder, or no raw file in it.
        UsageError: a missing split, or "-" without the name of its split.
    """
    only = tuple(dict.fromkeys(only))
    if labels and not labels.is_file():
        raise InputError("no such file", path=labels)
    is_stdin = str(raw) == STDIN
    if not is_stdin and not raw.exists():
        raise InputError("no such file or folder", path=raw)
    if is_stdin or (raw.is_file() and only):
        what = "standard input" if is_stdin else str(raw)
        if len(only) != 1 or not re.fullmatch(r"\w[\w.-]*", only[0]):
            raise UsageError(f"{what} is a single split: name it with --splits NAME")
        split = RawSplit(only[0], raw, None if is_stdin else _answers(raw, only[0]))
        return RawFolder((split,), labels or (None if is_stdin else _labels_beside(raw)))
    by_name: dict[str, RawSplit] = {}
    for split in _candidates(raw):
        if split.name in by_name:
            both = f"{by_name[split.name].path} and {split.path}"
            raise UsageError(f"split '{split.name}' has two files: {both}; remove one")
        by_name[split.name] = split
    if not by_name:
        needed = "train/train.tsv or valid.tsv.gz" if raw.is_dir() else "a name in .tsv or .tsv.gz"
        raise InputError(f"no raw file here (expected {needed}; - reads a pipe)", path=raw)
    missing = [name for name in only if name not in by_name]
    if missing:
        raise UsageError(f"{raw} has no split '{missing[0]}' (found: {', '.join(by_name)})")
    names = sorted(only or by_name, key=lambda name: (_order(name), name))
    return RawFolder(tuple(by_name[name] for name in names), labels or _labels_beside(raw))


def _candidates(raw: Path) -> list[RawSplit]:
    """The raw files of a folder: ``NAME.tsv`` in it or in its folder ``NAME``, or gzipped."""
    patterns = ("*.tsv", "*.tsv.gz", "*/*.tsv", "*/*.tsv.gz")
    files = (
        sorted(path for pattern in patterns for path in raw.glob(pattern))
        if raw.is_dir()
        else [raw]
    )
    splits = []
    for path in files:
        name = path.name.removesuffix(".gz").removesuffix(".tsv")
        is_named = bool(name) and path.name in (f"{name}.tsv", f"{name}.tsv.gz")
        is_placed = path.parent in (raw, raw.parent) or path.parent.name == name
        if is_named and is_placed and path.is_file():
            splits.append(RawSplit(name, path, _answers(path, name)))
    return splits


def _answers(path: Path, name: str) -> Path | None:
    answers = path.parent / f"{name}_answer.json"
    return answers if answers.exists() else None


def _labels_beside(raw: Path) -> Path | None:
    folder = raw.parent if raw.is_file() else raw
    # A single file lies in its split's folder, and the labels one level up.
    folders = [folder, folder.parent] if raw.is_file() else [folder]
    return next((f / LABELS_FILE for f in folders if (f / LABELS_FILE).exists()), None)


def _order(name: str) -> int:
    return SPLIT_ORDER.index(name) if name in SPLIT_ORDER else len(SPLIT_ORDER)
