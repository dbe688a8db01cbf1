"""Run folder layout and metadata.

``run.json`` (recipe, data, versions), ``vocabulary/``, ``words.json`` and ``queries.json`` (of the
training queries), ``cache/`` and, for each stage, a folder with ``checkpoint-*.safetensors``,
``best.safetensors``, ``metrics.jsonl`` and ``done.json``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shopsight.config import Recipe
from shopsight.config.overrides import changed
from shopsight.config.recipe import EXTRA_MODELS
from shopsight.data.dataset import PreparedData
from shopsight.data.features import check_features, feature_source
from shopsight.data.split_names import TRAIN
from shopsight.errors import DataError, OutputError, UsageError
from shopsight.formats.atomic import make_folder, write_errors, write_json
from shopsight.formats.manifest import ManifestFormat
from shopsight.formats.outputs import check_output_folder
from shopsight.models.registry import load_installed, model_names
from shopsight.text.normalise import words

if TYPE_CHECKING:
    from shopsight.text.vocabulary import Vocabulary

RUN_FILE = "run.json"
RUN = ManifestFormat(
    RUN_FILE, "run folder", 2, "train again into another folder", frozenset({"recipe", "files"})
)
WORDS, QUERIES = "words.json", "queries.json"  # of the training queries; the latter a sample
_SAMPLE = 1_000
FREE_SETTINGS = frozenset({"workers", "keep", "checkpoint_steps", "threads", "optional", "stages"})
"""Settings that change no result of a stage."""


class RunFolder:
    """The folder of a training: `open` it to train, `read` it to use the trained models."""

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path, self.manifest = path, manifest

    @classmethod
    def open(cls, path: str | Path, recipe: Recipe, data: PreparedData) -> RunFolder:
        """Create a run folder, or resume one of the same recipe and data.

        Raises:
            UsageError: it has another recipe.
            DataError: it has other data, or is damaged.
            OutputError: it cannot be written, or holds something else.
        """
        folder = Path(path)
        if existing := cls.existing(folder, recipe, data):
            return existing
        make_folder(folder)
        run_vocabulary(data, recipe).save(folder / "vocabulary")
        _save_training_queries(data, folder)
        # The manifest comes last: a folder without it is not a run folder yet.
        manifest = {
            "recipe": asdict(recipe),
            "data": str(data.path),
            "feature_width": data.store.width,
            "features": feature_source(data.path, data.manifest["files"]),
            "files": _checksums(data),
        }
        RUN.write(folder, manifest)
        return cls.read(folder)

    @classmethod
    def existing(cls, path: str | Path, recipe: Recipe, data: PreparedData) -> RunFolder | None:
        """The run folder that is there, if any; nothing is written. Errors are those of `open`."""
        folder = Path(path)
        if (folder / RUN_FILE).exists():
            run = cls.read(folder)
            run._check_same(recipe, data)
            return run
        check_output_folder(folder, ("data.json", "index.json"))
        files = folder.iterdir() if folder.is_dir() else ()
        visible = {file.name for file in files if not file.name.startswith(".")}
        if foreign := sorted(visible - {"vocabulary", WORDS, QUERIES}):
            raise OutputError(f"{folder}: not a run folder, but it holds {foreign[0]}")
        return None

    @classmethod
    def read(cls, path: str | Path) -> RunFolder:
        """Open an existing run folder. Raises DataError if it is missing or damaged."""
        return cls(Path(path), RUN.read(path))

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe of the run, without models that are not registered in this process."""
        load_installed()
        values = dict(self.manifest["recipe"])
        registered = EXTRA_MODELS.keys() & values.get("models", {}).keys()
        values["models"] = {name: values["models"][name] for name in sorted(registered)}
        return changed(Recipe(), values)

    def vocabulary(self) -> Vocabulary:
        """The vocabulary of its models."""
        # The tokenizers library takes longer to import than all of this module.
        from shopsight.text.vocabulary import Vocabulary

        return Vocabulary.load(self.path / "vocabulary")

    def check_data(self, data: PreparedData) -> None:
        """Raise DataError unless its models can read the regions of ``data``."""
        features = self.manifest.get("features", {})
        check_features(data, self.manifest["feature_width"], features, self.path)

    @property
    def trained(self) -> list[str]:
        """The models whose stage is finished, in the order in which they are trained."""
        return [name for name in model_names() if self.stage(name).done() is not None]

    def ranking(self, split: str, name: str) -> Path:
        """The file of the ranking of a split by a model or an ensemble, if it is written yet."""
        return self.path / "runs" / f"{split}-{name}.json"

    def stage(self, name: str) -> StageFolder:
        """The folder of a stage, which may not exist yet."""
        return StageFolder(self.path / name, name)

    def _check_same(self, recipe: Recipe, data: PreparedData) -> None:
        # Settings of a later version are missing in the file; `self.recipe` has their defaults.
        old, new = dict(flattened(asdict(self.recipe))), dict(flattened(asdict(recipe)))
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key) and key.rpartition(".")[2] not in FREE_SETTINGS:
                raise UsageError(
                    f"{self.path}: recipe mismatch, {key} was {old.get(key)} and is now"
                    f" {new.get(key)}; restore it, or choose another folder"
                )
        self.check_same_data(data)

    def check_same_data(self, data: PreparedData) -> None:
        """Raise DataError unless the run was trained on these data."""
        then, now = self.manifest["files"], _checksums(data)
        for name in sorted(then.keys() | now.keys()):
            if then.get(name) != now.get(name):
                how = "changed" if name in then and name in now else "is in only one of them"
                raise DataError(
                    f"{self.path}: trained on other data ({data.path / name} {how});"
                    " use the same data, or choose another folder"
                )


@dataclass(frozen=True)
class StageFolder:
    """The folder of one stage, created by `begin`; `name` is shown in messages."""

    path: Path
    name: str

    @property
    def best(self) -> Path:
        """The file of the weights with the best validation score."""
        return self.path / "best.safetensors"

    @property
    def log(self) -> MetricsLog:
        """Its ``metrics.jsonl``."""
        return MetricsLog(self.path / "metrics.jsonl")

    def begin(self) -> None:
        """Create the folder, and delete half-written files of a killed process."""
        make_folder(self.path)
        for partial in self.path.glob(".*.tmp"):
            partial.unlink(missing_ok=True)

    def phase(self, number: int) -> StageFolder:
        """The folder of one of several phases of the stage."""
        return StageFolder(self.path / f"phase-{number}", f"{self.name}, phase {number}")

    def checkpoint(self, steps: int) -> Path:
        """The file of the checkpoint after a number of steps."""
        return self.path / f"checkpoint-{steps:08d}.safetensors"

    def checkpoints(self) -> list[Path]:
        """The existing checkpoints, oldest first."""
        return sorted(self.path.glob("checkpoint-*.safetensors"))

    def keep_last(self, count: int) -> None:
        """Delete all but the newest checkpoints."""
        for old in self.checkpoints()[:-count]:
            old.unlink(missing_ok=True)

    def metrics(self) -> list[dict[str, Any]]:
        """Every complete record of ``metrics.jsonl``."""
        records = list[dict[str, Any]]()
        if self.log.size():
            for line in self.log.path.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # the last line of a killed process may be cut off
                    records.append(json.loads(line))
        return records

    def done(self) -> dict[str, Any] | None:
        """The content of ``done.json``; None while the stage is not finished."""
        path = self.path / "done.json"
        try:
            result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise DataError(f"{path}: damaged; delete it to finish the stage again") from error
        return result

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write ``done.json``."""
        write_json(self.path / "done.json", dict(result))


@dataclass(frozen=True)
class MetricsLog:
    """Append-only JSONL log, truncated on resume."""

    path: Path

    def size(self) -> int:
        """Size in bytes."""
        return self.path.stat().st_size if self.path.exists() else 0

    def truncate(self, size: int) -> None:
        """Drop everything after the first `size` bytes."""
        if self.size() > size:
            os.truncate(self.path, size)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record. Raises OutputError, such as on a full disk."""
        with write_errors(self.path), open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(dict(record)) + "\n")


def _save_training_queries(data: PreparedData, folder: Path) -> None:
    """Write the words of the training queries, and a sample of the queries."""
    if TRAIN not in data.splits:
        return
    texts = data.queries(TRAIN).texts
    sample = np.random.default_rng(0).permutation(len(texts))[:_SAMPLE].tolist()
    known = sorted({word for text in texts for word in words(text)})
    write_json(folder / WORDS, known, indent=None)
    write_json(folder / QUERIES, [texts[i] for i in sample], indent=None)


def run_vocabulary(data: PreparedData, recipe: Recipe) -> Vocabulary:
    """The vocabulary of the data, with plurals merged if the recipe merges them."""
    vocabulary = data.vocabulary()
    return vocabulary.with_plurals_merged() if recipe.words.merge_plurals else vocabulary


def _checksums(data: PreparedData) -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in data.manifest["files"].items()}


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values, with keys joined by dots."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
