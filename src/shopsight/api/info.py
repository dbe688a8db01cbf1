"""What a path is: prepared data, a run folder, an index, or a file of scores or judgements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shopsight.api.runs import Run, read_qrels, read_run
from shopsight.errors import DataError, InputError
from shopsight.formats.candidates import read_candidates
from shopsight.tables import Grid, Tabular, plain

_LONGEST = 100


@dataclass(frozen=True)
class PathInfo(Tabular):
    """The kind and a summary of a folder or file.

    Attributes:
        path: the folder or file.
        kind: "prepared data", "run folder", "index", "ranking", "qrels" or "candidates".
        summary: its counts and settings.
    """

    path: str
    kind: str
    summary: dict[str, Any]

    def grids(self) -> list[Grid]:
        """One row per entry of the summary."""
        rows = tuple((name, _cell(value)) for name, value in self.summary.items())
        return [Grid((self.kind, self.path), rows)]

    def to_dict(self) -> dict[str, Any]:
        """Path, kind and the summary."""
        return {"path": self.path, "kind": self.kind, **plain(self.summary)}


def info(path: str | Path) -> PathInfo:
    """Identify a folder or file by its content and summarise it.

    Raises:
        DataError: a folder of another kind, or a damaged one.
        InputError: a file that is missing or of an unknown format.
    """
    folder = Path(path)
    for name, (kind, read) in _FOLDERS.items():
        if (folder / name).is_file():
            return PathInfo(str(path), kind, read(folder))
    if folder.is_dir():
        raise DataError(f"{path}: not prepared data, a run folder or an index"
                        f" (no {', '.join(_FOLDERS)})")  # fmt: skip
    # Judgements first: a run with scores that are all integers would pass for both.
    errors = []
    for kind, summarise in _FILES.items():
        try:
            return PathInfo(str(path), kind, summarise(folder))
        except InputError as error:
            errors.append(error)
    raise errors[1]


def _data(folder: Path) -> dict[str, Any]:
    from shopsight.data.dataset import PreparedData

    manifest = PreparedData.open(folder).manifest
    names = ("products", "feature_width", "regions", "splits", "settings", "skipped", "warnings")
    return {name: manifest[name] for name in names if name in manifest}


def _run_folder(folder: Path) -> dict[str, Any]:
    from shopsight.api.ranker import open_ranker

    ranker = open_ranker(folder)
    manifest = ranker.folder.manifest
    names = ("shopsight", "data", "feature_width", "recipe")
    return {
        "models": [*ranker.models, *ranker.ensembles],
        **{name: manifest[name] for name in names if name in manifest},
    }


def _index(folder: Path) -> dict[str, Any]:
    from shopsight.api.search import Index

    with Index(folder) as index:
        return index.stats()


def _ranking(path: Path) -> dict[str, Any]:
    return _pools(read_run(path))


def _qrels(path: Path) -> dict[str, Any]:
    relevance = read_qrels(path).relevance
    grades = [grade for row in relevance.values() for grade in row.values()]
    relevant = sum(grade > 0 for grade in grades)
    return {"queries": len(relevance), "judgements": len(grades), "relevant": relevant}


def _candidates(path: Path) -> dict[str, Any]:
    pools = read_candidates(path).pools
    return {"queries": len(pools), "candidates": len(pools.product_ids),
            "products": len(set(pools.product_ids))}  # fmt: skip


def _pools(run: Run) -> dict[str, Any]:
    return {"queries": len(run), "candidates": len(run.scores),
            "products": len(set(run.pools.product_ids))}  # fmt: skip


def _cell(value: Any) -> str:
    """A value in at most `_LONGEST` characters; --json and `to_dict` have all of it."""
    if isinstance(value, dict):
        text = ", ".join(f"{name} ({_cell(item)})" if isinstance(item, dict)
                         else f"{name} {_cell(item)}" for name, item in value.items())  # fmt: skip
    elif isinstance(value, list | tuple):
        text = ", ".join(map(str, value))
    else:
        is_count = isinstance(value, int) and not isinstance(value, bool)
        text = f"{value:,}" if is_count else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


_FOLDERS: dict[str, tuple[str, Callable[[Path], dict[str, Any]]]] = {
    "data.json": ("prepared data", _data),
    "run.json": ("run folder", _run_folder),
    "index.json": ("index", _index),
}
_FILES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "qrels": _qrels,
    "ranking": _ranking,
    "candidates": _candidates,
}
