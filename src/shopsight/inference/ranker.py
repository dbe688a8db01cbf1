"""A run folder at work: any of its models, or its ensembles, rank any split."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch

from shopsight.data.dataset import PreparedData
from shopsight.errors import DataError, unknown_name
from shopsight.formats.runs import read_run, write_run
from shopsight.inference.encode import best_of, rank_split
from shopsight.inference.ensemble import ENSEMBLE, Ensemble, load_ensembles
from shopsight.inference.load import MODELS, load_model, trained_models
from shopsight.inference.run_folder import RunFolder
from shopsight.inference.trunk_cache import TrunkCache, trunk_key
from shopsight.models.sentence_match import SentenceMatch
from shopsight.models.word_match import WordMatch
from shopsight.types import Run


class Ranker:
    """Ranks with what was trained.

    Args:
        folder: the run folder.
        data: the prepared folder.
        device: where models run.

    Raises:
        DataError: nothing was trained yet.
    """

    def __init__(self, folder: RunFolder, data: PreparedData, device: torch.device | str) -> None:
        self.folder, self._data, self._device = folder, data, device
        self.models = trained_models(folder)
        if not self.models:
            raise DataError(f"{folder.path}: no stage is finished yet; go on with train --resume")
        self._mixtures = {one.name: one for one in load_ensembles(folder.path)}
        self._vocabulary = folder.vocabulary()
        self._model = cache(self._load)

    @classmethod
    def read(cls, path: str | Path, data: PreparedData, device: torch.device | str) -> Ranker:
        """Open a run folder to rank with. Raises DataError where there is none."""
        return cls(RunFolder.read(path), data, device)

    @property
    def default(self) -> str:
        """What ranks best: the ensemble, or without one the last model that was trained."""
        return ENSEMBLE if ENSEMBLE in self._mixtures else self.models[-1]

    def rank(self, name: str, split: str) -> Run:
        """Rank a split.

        Args:
            name: of a model or an ensemble.
            split: of the prepared folder.

        Raises:
            UsageError: nothing of that name was trained here.
            DataError: there is no such split.
        """
        if name in self._mixtures:
            ensemble: Ensemble = self._mixtures[name]
            return ensemble.fuse({member: self.rank(member, split) for member in ensemble.weights})
        if name not in self.models:
            known = [*self._mixtures, *self.models]
            raise unknown_name(f"model of {self.folder.path}", name, known)
        pools = None
        depth = self.folder.recipe.sentence_match.depth
        if name == "sentence-match" and depth and "word-match" in self.models:
            pools = best_of(self.rank("word-match", split), depth)
        model = self._model(name)
        return rank_split(
            model,
            self._data,
            self._vocabulary,
            split,
            name=name,
            pools=pools,
            source=self._cached(model),
            device=self._device,
        )

    def kept(self, name: str, split: str) -> Run:
        """The run kept in ``RUN/runs``; ranks where it is missing or older than the model."""
        path = self.folder.path / "runs" / f"{split}-{name}.json"
        trained = self.folder.stage(MODELS[name]).path / "done.json"
        if path.exists() and path.stat().st_mtime_ns >= trained.stat().st_mtime_ns:
            return read_run(path, name)
        found = self.rank(name, split)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_run(found, path)
        return found

    def _cached(self, model: Any) -> TrunkCache | None:
        """What the model's frozen trunk gave for this catalogue, where training has kept that."""
        if not isinstance(model, WordMatch | SentenceMatch):
            return None
        key = trunk_key(model.encoder.trunk, self._data)
        return TrunkCache.kept(self.folder.path / "cache", self._data.store, key)

    def _load(self, name: str) -> Any:
        return load_model(self.folder, name, self._device)
