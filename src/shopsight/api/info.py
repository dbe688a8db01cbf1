"""Identification of paths: prepared data, run folder, index, ranking, qrels or candidates."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shopsight.api.runs import read_qrels, read_run
from shopsight.data.dataset import SHARD
from shopsight.data.split_names import TRAIN, VALID
from shopsight.errors import DataError, InputError
from shopsight.formats.candidates import read_candidates
from shopsight.tables import Grid, Tabular, plain
from shopsight.types import Pools

_LONGEST = 100
DEMO_MARKER = ".shopsight-demo"


@dataclass(frozen=True)
class PathInfo(Tabular):
    """The kind and a summary of a folder or file.

    Attributes:
        kind: "prepared data", "shard", "run folder", "index", "extractor", "demo", "ranking",
            "qrels" or "candidates".
        summary: its counts and settings.
        next: the command that usually follows.
    """

    path: str
    kind: str
    summary: dict[str, Any]
    next: str

    def grids(self) -> list[Grid]:
        """A row per entry of the summary."""
        rows = tuple((name, _cell(value)) for name, value in self.summary.items())
        return [Grid((self.kind, self.path), rows, f"Next: {self.next}")]

    def to_dict(self) -> dict[str, Any]:
        """Path, kind, the summary and the next command."""
        return {"path": self.path, "kind": self.kind, **plain(self.summary), "next": self.next}


def info(path: str | Path) -> PathInfo:
    """Identify a folder or file by its content and summarise it.

    Raises:
        DataError: a folder of another kind, or a damaged one.
        InputError: a file that is missing or of an unknown format.
    """
    shown = shlex.quote(str(path))
    for manifest, (kind, summarise) in _FOLDERS.items():
        if (Path(path) / manifest).is_file():
            if kind == "prepared data" and SHARD.describes(Path(path)):
                kind, summarise = "shard", _shard
            summary = summarise(Path(path))
            return PathInfo(str(path), kind, summary, _next(kind, summary).format(path=shown))
    if Path(path).is_dir():
        names = ", ".join(_FOLDERS)
        raise DataError(f"{path}: not prepared data, a run folder or an index (no {names})")
    # Judgements first: a run with scores that are all integers would pass for both.
    errors = []
    for kind, summarise in _FILES.items():
        try:
            summary, following = summarise(Path(path)), _NEXT[kind].format(path=shown)
            if kind == "qrels" and _is_ranking(path):
                following += f"; or, if it is a ranking, {_NEXT['ranking'].format(path=shown)}"
            return PathInfo(str(path), kind, summary, following)
        except InputError as error:
            errors.append(error)
    raise errors[1]


def _next(kind: str, summary: dict[str, Any]) -> str:
    """The usual next command; training comes first for data with clicks, and unfinished runs."""
    if kind == "prepared data" and TRAIN not in summary["splits"]:
        split = next(iter(summary["splits"]), VALID)
        return f"shopsight rank RUN {{path}} --split {split} --out run.json"
    if kind == "run folder" and not summary["models"]:
        return "shopsight train DATA --recipe RECIPE --out {path} --resume"
    return _NEXT[kind]


_NEXT = {
    "prepared data": "shopsight train {path} --recipe RECIPE --out RUN",
    "shard": "shopsight prepare merge {path} OTHER-SHARDS --out DATA",
    "run folder": "shopsight index build {path} DATA --out INDEX, or shopsight rank {path} DATA"
    " --split SPLIT --out run.json",
    "index": 'shopsight search {path} "QUERY", or shopsight serve {path}',
    "extractor": "shopsight prepare photos TABLE --out DATA --extractor {path}",
    "demo": "shopsight info {path}/run",
    "ranking": "shopsight evaluate {path} --answers QRELS",
    "qrels": "shopsight evaluate RANKING --answers {path}",
    "candidates": "shopsight audit {path} --answers QRELS",
}


def _shard(folder: Path) -> dict[str, Any]:
    manifest = SHARD.read(folder)
    return {name: manifest[name] for name in ("shard", "products") if name in manifest}


def _extractor(folder: Path) -> dict[str, Any]:
    from shopsight.regions.extractor import SETTINGS

    return {name: value for name, value in SETTINGS.read(folder).items() if name != "format"}


def _data(folder: Path) -> dict[str, Any]:
    from shopsight.data.dataset import PreparedData

    manifest = PreparedData.open(folder).manifest
    names = ("products", "feature_width", "regions", "splits", "settings", "skipped", "warnings")
    return {name: manifest[name] for name in names if name in manifest}


def _run_folder(path: Path) -> dict[str, Any]:
    from shopsight.inference.run_folder import RunFolder

    folder = RunFolder.read(path)
    names = ("shopsight", "data", "feature_width", "recipe")
    return {"models": folder.trained, **{name: folder.manifest[name] for name in names}}


def _index(folder: Path) -> dict[str, Any]:
    from shopsight.search.index import index_stats

    return index_stats(folder)


def _qrels(path: Path) -> dict[str, Any]:
    qrels = read_qrels(path)
    grades = [row["grade"] for row in qrels.records()]
    relevant = sum(grade > 0 for grade in grades)
    return {"queries": len(qrels), "judgements": len(grades), "relevant": relevant}


def _is_ranking(path: str | Path) -> bool:
    """Whether a file of judgements could be a ranking too: scores that are whole numbers."""
    with suppress(InputError):
        return bool(len(read_run(path)))
    return False


def _pools(pools: Pools) -> dict[str, Any]:
    products = pools.product_ids.tolist()
    return {"queries": len(pools), "candidates": len(products), "products": len(set(products))}


def _cell(value: Any) -> str:
    """A value in at most `_LONGEST` characters; `to_dict` has all of it."""
    if isinstance(value, dict):
        text = ", ".join(f"{name} {_cell(item)}" for name, item in value.items())
    elif isinstance(value, list | tuple):
        text = ", ".join(map(str, value))
    else:
        is_count = isinstance(value, int) and not isinstance(value, bool)
        text = f"{value:,}" if is_count else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


Summarise = Callable[[Path], dict[str, Any]]
_FOLDERS: dict[str, tuple[str, Summarise]] = {
    "data.json": ("prepared data", _data),
    "run.json": ("run folder", _run_folder),
    "index.json": ("index", _index),
    "settings.json": ("extractor", _extractor),
    DEMO_MARKER: ("demo", lambda folder: {"folders": sorted(p.name for p in folder.glob("*/"))}),
}
_FILES: dict[str, Summarise] = {
    "qrels": _qrels,
    "ranking": lambda path: _pools(read_run(path).pools),
    "candidates": lambda path: _pools(read_candidates(path).pools),
}
