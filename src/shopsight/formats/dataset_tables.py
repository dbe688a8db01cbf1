"""Hugging Face datasets as tables: saved folders, folders of Parquet, hub ids.

The ``datasets`` library opens them; it runs no code of a dataset and keeps what it downloads in its
own cache (``HF_DATASETS_CACHE``). Photos are not decoded.
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
from shopsight.formats.hub import hub_access
from shopsight.formats.tables import Table, TableRow, open_file

_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_SAVED = ("state.json", "dataset_dict.json")
_SPLIT = "split"
_BATCH = 64


def open_table(name: str) -> Table:
    """Open a table by its file, folder or hub id.

    A folder with ``metadata.csv`` (or ``.jsonl``, ``.parquet``) directly in it is an *imagefolder*:
    that file is the table. Any other folder, and a hub id such as ``owner/name``, is opened by the
    ``datasets`` library; all splits are concatenated, and if there are several, the column
    ``split`` names them unless the data set has such a column.

    Raises:
        InputError: nothing there, or not readable.
        UsageError: the ``datasets`` library is needed and not installed.
    """
    path = Path(name)
    if path.is_dir():
        metadata = [path / file for file in _METADATA if (path / file).is_file()]
        return open_file(metadata[0]) if metadata else DatasetTable(name)
    return open_file(path) if path.exists() or not _is_hub_id(name) else DatasetTable(name)


class DatasetTable:
    """The rows of all splits of a dataset, one split after the other.

    Raises:
        InputError: not a dataset, or the hub cannot be reached.
        UsageError: the ``datasets`` library is not installed.
    """

    def __init__(self, name: str) -> None:
        self.path, self.folder = name, Path(name)
        self._splits = _load(name)
        first = next(iter(self._splits.values()))
        columns = tuple(first.column_names)
        self._adds_split = _SPLIT not in columns and len(self._splits) > 1
        self.names = (*columns, _SPLIT) if self._adds_split else columns
        # Classes are stored as numbers; their names are what a person wrote.
        self._classes = {
            column: list(feature.names)
            for column, feature in first.features.items()
            if type(feature).__name__ == "ClassLabel"
        }

    def __len__(self) -> int:
        return int(self._ends[-1])

    def fingerprint(self) -> str:
        """A hash that changes with the files of a folder, or with the data of the hub."""
        if self.folder.is_dir():
            paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
            return fingerprint(
                f"{path.relative_to(self.folder)}:{file_fingerprint(path)}" for path in paths
            )
        return ";".join(str(split._fingerprint) for split in self._splits.values())

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[TableRow]:
        """Rows ``start:stop``."""
        stop = len(self) if stop is None else min(stop, len(self))
        for (name, split), end in zip(self._splits.items(), self._ends.tolist(), strict=True):
            first = end - len(split)
            for batch_start in range(max(start, first), min(stop, end), _BATCH):
                batch_stop = min(batch_start + _BATCH, stop, end)
                columns = split[batch_start - first : batch_stop - first]
                for i in range(batch_stop - batch_start):
                    values = {key: column[i] for key, column in columns.items()}
                    yield TableRow(batch_start + i + 1, None, self._named(values, name))

    def _named(self, values: dict[str, Any], split: str) -> dict[str, Any]:
        for column, names in self._classes.items():
            value = values[column]
            known = isinstance(value, int) and 0 <= value < len(names)
            values[column] = names[value] if known else None
        return {**values, _SPLIT: split} if self._adds_split else values

    @cached_property
    def _ends(self) -> Any:
        return np.cumsum([len(split) for split in self._splits.values()])


def _is_hub_id(name: str) -> bool:
    owner, _, rest = name.partition("/")
    return bool(owner and rest) and "/" not in rest and not Path(owner).exists()


def _load(name: str) -> dict[str, Any]:
    """The splits of a dataset by name, photos undecoded."""
    try:
        import datasets
    except ImportError as error:
        reason = f"{name} is not a file, and data sets need the datasets library"
        raise UsageError(f"{reason}: pip install 'shopsight[photos]'") from error
    saved = any((Path(name) / file).is_file() for file in _SAVED)
    with _quiet(datasets), hub_access():
        try:
            loaded = datasets.load_from_disk(name) if saved else datasets.load_dataset(name)
        # The library raises whatever its many parts raise.
        except Exception as error:
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            reason = reason.replace(" (OfflineModeIsEnabled)", ", and no copy of it is cached")
            raise InputError(f"not a readable data set ({reason})", path=name) from error
    splits = dict(loaded) if isinstance(loaded, dict) else {"all": loaded}
    for name, split in splits.items():
        for column, feature in split.features.items():
            if isinstance(feature, datasets.Image):
                split = split.cast_column(column, datasets.Image(decode=False))
        splits[name] = split.with_format(None)
    return splits


@contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    was_on = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if was_on:
            datasets.enable_progress_bars()
