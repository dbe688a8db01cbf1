"""Hugging Face datasets as tables: saved folders, folders of Parquet, hub ids.

They are opened by the ``datasets`` library, which runs no code of a dataset and keeps what it
reads in its own cache (``HF_DATASETS_CACHE``). Photos are handed on undecoded.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from shopsight.errors import InputError, UsageError
from shopsight.formats.checksums import file_fingerprint, fingerprint
from shopsight.formats.tables import Table, TableRow, open_file

_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_SAVED = ("state.json", "dataset_dict.json")
_SPLIT = "split"
_BATCH = 64


def open_table(name: str) -> Table:
    """A table by its file, its folder or its hub id.

    A folder with ``metadata.csv`` (or ``.jsonl``, ``.parquet``) directly in it is an *imagefolder*:
    that file is the table, and ids in it stay as they are written. Any other folder, and a hub id
    such as ``owner/name``, is opened by the ``datasets`` library; all its splits are taken, and
    where there are several, the column ``split`` names them unless there is such a column.

    Raises:
        InputError: nothing there, or nothing that can be read.
        UsageError: the ``datasets`` library is needed and not installed.
    """
    path = Path(name)
    if path.is_dir():
        metadata = [path / one for one in _METADATA if (path / one).is_file()]
        return open_file(metadata[0]) if metadata else DatasetTable(name)
    if path.exists() or not _is_hub_id(name):
        return open_file(path)
    return DatasetTable(name)


class DatasetTable:
    """The rows of all splits of a dataset, one split after the other.

    Args:
        name: a folder or a hub id.

    Raises:
        InputError: not a dataset, or the hub cannot be reached.
        UsageError: the ``datasets`` library is not installed.
    """

    typed = True

    def __init__(self, name: str) -> None:
        self.path, self.folder = name, Path(name)
        self._splits = _opened(name)
        first = next(iter(self._splits.values()))
        own = tuple(first.column_names)
        self._adds_split = _SPLIT not in own and len(self._splits) > 1
        self.names = (*own, _SPLIT) if self._adds_split else own
        self._classes = _class_names(first)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def fingerprint(self) -> str:
        """Changes with the files of a folder, or with what the hub gave."""
        if self.folder.is_dir():
            paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
            return fingerprint(
                f"{path.relative_to(self.folder)}:{file_fingerprint(path)}" for path in paths
            )
        return ";".join(str(one._fingerprint) for one in self._splits.values())

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[TableRow]:
        """The rows from ``start`` to before ``stop``."""
        stop = len(self) if stop is None else min(stop, len(self))
        for (name, part), end in zip(self._splits.items(), self._ends, strict=True):
            first = int(end) - len(part)
            yield from self._of_split(name, part, first, max(start, first), min(stop, int(end)))

    def _of_split(
        self, name: str, part: Any, first: int, start: int, stop: int
    ) -> Iterator[TableRow]:
        for here in range(start, stop, _BATCH):
            columns = part[here - first : min(here + _BATCH, stop) - first]
            for place in range(min(_BATCH, stop - here)):
                values = {key: column[place] for key, column in columns.items()}
                if self._adds_split:
                    values[_SPLIT] = name
                for key, names in self._classes.items():
                    values[key] = _class_name(values[key], names)
                yield TableRow(here + place + 1, None, values)

    @cached_property
    def _ends(self) -> Any:
        return np.cumsum([len(part) for part in self._splits.values()])


def _is_hub_id(name: str) -> bool:
    owner, slash, rest = name.partition("/")
    return bool(owner and slash and rest) and "/" not in rest and not Path(owner).exists()


def _opened(name: str) -> dict[str, Any]:
    """The splits of a dataset by name, photos undecoded."""
    try:
        import datasets
    except ImportError as error:
        reason = f"{name} is no file, and datasets need the library of that name"
        raise UsageError(f"{reason}: pip install 'shopsight[photos]'") from error
    with _quietly(datasets):
        try:
            if (Path(name) / "state.json").is_file() or (
                Path(name) / "dataset_dict.json"
            ).is_file():
                found = datasets.load_from_disk(name)
            else:
                found = datasets.load_dataset(name)
        except Exception as error:  # the library raises what its many parts raise
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise InputError(f"no dataset that can be read ({reason})", path=name) from error
    splits = dict(found) if isinstance(found, dict) else {"all": found}
    return {key: _undecoded(part, datasets) for key, part in splits.items()}


@contextmanager
def _quietly(datasets: Any) -> Iterator[None]:
    was_on = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if was_on:
            datasets.enable_progress_bars()


def _undecoded(part: Any, datasets: Any) -> Any:
    for name, feature in part.features.items():
        if isinstance(feature, datasets.Image):
            part = part.cast_column(name, datasets.Image(decode=False))
    return part.with_format(None)


def _class_names(part: Any) -> dict[str, list[str]]:
    """The names of the values of columns that hold classes as numbers."""
    return {
        name: list(feature.names)
        for name, feature in part.features.items()
        if type(feature).__name__ == "ClassLabel"
    }


def _class_name(value: Any, names: list[str]) -> str | None:
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else None
