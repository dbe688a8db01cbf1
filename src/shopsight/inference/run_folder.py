"""A run folder: what was trained, from what, and how far each stage has come.

``run.json`` (recipe, data, versions), ``vocabulary/``, ``cache/`` and, for each stage, a folder
with ``checkpoint-*.safetensors``, ``best.safetensors``, ``metrics.jsonl`` and ``done.json``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from shopsight.config import Recipe
from shopsight.config.overrides import changed
from shopsight.config.recipe import EXTRA_MODELS
from shopsight.data.dataset import PreparedData
from shopsight.errors import DataError, OutputError, UsageError
from shopsight.formats.atomic import make_folder, write_errors, write_json
from shopsight.formats.manifest import ManifestFormat
from shopsight.text.vocabulary import Vocabulary

RUN_FILE = "run.json"
RUN = ManifestFormat(
    RUN_FILE, "run folder", 2, "train again into another folder", frozenset({"recipe", "files"})
)
FREE_SETTINGS = frozenset({"workers", "keep", "checkpoint_steps", "threads"})
"""Settings that change no result."""


class RunFolder:
    """A training's results; use `open` to train and `read` to use what was trained.

    Attributes:
        path: the folder.
        summary: the content of ``run.json``.
    """

    def __init__(self, path: Path, summary: dict[str, Any]) -> None:
        self.path, self.manifest = path, summary

    @classmethod
    def open(cls, path: str | Path, recipe: Recipe, data: PreparedData) -> RunFolder:
        """Begin a run folder, or go on with one of the same recipe and data.

        Raises:
            UsageError: it was begun with another recipe; the sentence names the key.
            DataError: it was begun with other data, or is damaged; the sentence names the file.
            OutputError: it cannot be written, or holds something else.
        """
        folder = Path(path)
        if (folder / RUN_FILE).exists():
            run = cls.read(folder)
            run._refuse_changes(recipe, data)
            return run
        summary = {
            "recipe": asdict(recipe),
            "data": str(data.path),
            "feature_width": data.store.width,
            "files": _file_checksums(data),
        }
        make_folder(folder)
        visible = {one.name for one in folder.iterdir() if not one.name.startswith(".")}
        if foreign := sorted(visible - {"vocabulary"}):
            raise OutputError(f"{folder}: not a run folder, but it holds {foreign[0]}")
        run_vocabulary(data, recipe).save(folder / "vocabulary")
        RUN.write(folder, summary)
        return cls.read(folder)

    @classmethod
    def read(cls, path: str | Path) -> RunFolder:
        """Open what was trained. Raises DataError where there is none, or a damaged one."""
        return cls(Path(path), RUN.read(path))

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe of the run, without models that are not registered in this process."""
        values = dict(self.manifest["recipe"])
        registered = EXTRA_MODELS.keys() & values.get("models", {}).keys()
        values["models"] = {name: values["models"][name] for name in sorted(registered)}
        return changed(Recipe(), values)

    def vocabulary(self) -> Vocabulary:
        """The vocabulary of its models."""
        return Vocabulary.load(self.path / "vocabulary")

    def stage(self, name: str) -> StageFolder:
        """The folder of a stage, which need not be there yet."""
        return StageFolder(self.path / name, name)

    def _refuse_changes(self, recipe: Recipe, data: PreparedData) -> None:
        # settings that came with a later version were at their defaults before
        old, new = dict(_flat(asdict(self.recipe))), dict(_flat(asdict(recipe)))
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key) and key.rpartition(".")[2] not in FREE_SETTINGS:
                raise UsageError(
                    f"{self.path}: begun with {key} = {old.get(key)}, but the recipe now says"
                    f" {new.get(key)}; put it back, or give another folder"
                )
        then, now = self.manifest["files"], _file_checksums(data)
        for name in sorted(then.keys() | now.keys()):
            if then.get(name) != now.get(name):
                how = "changed" if name in then and name in now else "is in only one of them"
                raise DataError(
                    f"{self.path}: begun with other data ({data.path / name} {how});"
                    " give the same data, or another folder"
                )


@dataclass(frozen=True)
class StageFolder:
    """The folder of one stage.

    Args:
        path: the folder; `begin` makes it.
        name: the stage, for people.
    """

    path: Path
    name: str

    @property
    def best(self) -> Path:
        """The weights that ranked the validation split best."""
        return self.path / "best.safetensors"

    @property
    def log(self) -> MetricsLog:
        """Its ``metrics.jsonl``."""
        return MetricsLog(self.path / "metrics.jsonl")

    def begin(self) -> None:
        """Make the folder, and clear away what a killed process left half-written."""
        make_folder(self.path)
        for left in self.path.glob(".*.tmp"):
            left.unlink(missing_ok=True)

    def phase(self, number: int) -> StageFolder:
        """The folder of one of several phases of the stage."""
        return StageFolder(self.path / f"phase-{number}", f"{self.name}, phase {number}")

    def checkpoint(self, steps: int) -> Path:
        """Where the checkpoint after so many steps is written."""
        return self.path / f"checkpoint-{steps:08d}.safetensors"

    def checkpoints(self) -> list[Path]:
        """The checkpoints that are there, oldest first."""
        return sorted(self.path.glob("checkpoint-*.safetensors"))

    def keep_last(self, count: int) -> None:
        """Remove all but the newest checkpoints."""
        for old in self.checkpoints()[:-count]:
            old.unlink(missing_ok=True)

    def metrics(self) -> list[dict[str, Any]]:
        """Every line of ``metrics.jsonl``."""
        return list(self.log.read())

    def done(self) -> dict[str, Any] | None:
        """What ``done.json`` says; None while the stage is not finished."""
        path = self.path / "done.json"
        try:
            about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise DataError(f"{path}: damaged; delete it to finish the stage again") from error
        return about

    def finish(self, about: Mapping[str, Any]) -> None:
        """Write ``done.json``."""
        write_json(self.path / "done.json", dict(about))


class MetricsLog:
    """A file of JSON lines that grows, and is cut back to where training goes on from."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def size(self) -> int:
        """Bytes so far."""
        return self._path.stat().st_size if self._path.exists() else 0

    def cut(self, size: int) -> None:
        """Forget what was written beyond ``size`` bytes."""
        if self.size() > size:
            os.truncate(self._path, size)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line. Raises OutputError, such as on a full disk."""
        with write_errors(self._path), open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(dict(record)) + "\n")

    def read(self) -> Iterator[dict[str, Any]]:
        """Every whole line."""
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # the last one, of a killed process
                    yield json.loads(line)


def run_vocabulary(data: PreparedData, recipe: Recipe) -> Vocabulary:
    """The vocabulary of the data as the recipe's models read it."""
    vocabulary = data.vocabulary()
    return vocabulary.with_plurals_merged() if recipe.words.merge_plurals else vocabulary


def _file_checksums(data: PreparedData) -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in data.manifest["files"].items()}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values with their keys written with dots."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
