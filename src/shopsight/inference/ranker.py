"""A trained run folder: rank splits, encode queries and products, describe photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from shopsight.data.dataset import PreparedData
from shopsight.errors import DataError, UsageError, unknown_name
from shopsight.formats.runs import read_run, write_run
from shopsight.inference.encode import encode_texts, read_regions, score_pools
from shopsight.inference.ensemble import ENSEMBLE, Ensemble, load_ensembles
from shopsight.inference.load import load_model
from shopsight.inference.run_folder import RunFolder
from shopsight.inference.trunk_cache import TrunkCache, trunk_key
from shopsight.models.registry import RETRIEVAL, model_spec
from shopsight.ranking.run import top_k
from shopsight.text.vocabulary import Vocabulary
from shopsight.types import Pools, Run


class Ranker:
    """The trained ``models`` and fitted ``ensembles`` of a run folder.

    Raises:
        DataError: no stage is finished.
    """

    def __init__(self, folder: RunFolder, device: torch.device | str = "cpu") -> None:
        self.folder, self.device = folder, device
        self.models = folder.trained
        if not self.models:
            raise DataError(f"{folder.path}: no stage is finished yet; resume with train --resume")
        self.ensembles = {ensemble.name: ensemble for ensemble in load_ensembles(folder.path)}
        self._loaded: dict[str, Any] = {}

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of all models."""
        return self.folder.vocabulary()

    @property
    def default(self) -> str:
        """The recommended name: the ensemble, or without one the last trained model."""
        return ENSEMBLE if ENSEMBLE in self.ensembles else self.models[-1]

    def model(self, name: str) -> Any:
        """A trained model in evaluation mode, loaded once."""
        if name not in self._loaded:
            self._loaded[name] = load_model(self.folder, name, self.device)
        return self._loaded[name]

    def rank(self, data: PreparedData, split: str, model: str | None = None) -> Run:
        """Rank the candidates of a split with a model or an ensemble, by default `default`.

        Raises:
            UsageError: an unknown model.
            DataError: an unknown split.
        """
        table = data.queries(split)
        texts = dict(zip(table.ids, table.texts, strict=True))
        return self.score(data, data.pools(split), texts, model or self.default)

    def score(self, data: PreparedData, pools: Pools, texts: Mapping[str, str], name: str) -> Run:
        """Score candidates of any queries, given by id and text; see `rank`."""
        self.folder.check_data(data)
        if name in self.ensembles:
            ensemble: Ensemble = self.ensembles[name]
            return ensemble.fuse(
                {member: self.score(data, pools, texts, member) for member in ensemble.weights}
            )
        if name not in self.models:
            known = [*self.ensembles, *self.models]
            raise unknown_name(f"model of {self.folder.path}", name, known)
        spec, config = model_spec(name), self.folder.recipe.model(name)
        if config.depth and spec.shortlist_by in self.models:
            first = self.score(data, pools, texts, spec.shortlist_by)
            pools = Pools.from_dict(top_k(first, config.depth))
        network = self.model(name)
        source = None
        if spec.uses_trunk and config.cache_trunk:
            key = trunk_key(network.encoder.trunk, data)
            source = TrunkCache.open(self.folder.path / "cache", data.store, key)
        run = score_pools(network, data.store, self.vocabulary, pools, texts, source, self.device)
        return replace(run, name=name)

    def kept(self, data: PreparedData, split: str, model: str) -> Run:
        """The run in ``RUN/runs``, ranked again where it is missing or older than the model."""
        path = self.folder.ranking(split, model)
        trained = self.folder.stage(model).path / "done.json"
        if path.exists() and path.stat().st_mtime_ns >= trained.stat().st_mtime_ns:
            return read_run(path, model)
        run = self.rank(data, split, model)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_run(run, path)
        return run

    @torch.inference_mode()
    def encode_queries(self, queries: Sequence[str], model: str = RETRIEVAL) -> NDArray[np.float32]:
        """(Q, D) vectors of queries. Raises UsageError if the model has no vectors."""
        network = self._vector_model(model)
        return _array([encode_texts(network, self.vocabulary, queries, self.device).vectors])

    @torch.inference_mode()
    def encode_products(
        self, data: PreparedData, product_ids: Sequence[str], model: str = RETRIEVAL
    ) -> NDArray[np.float32]:
        """(P, D) vectors of products.

        Raises:
            UsageError: the model has no vectors.
            DataError: an unknown product id.
        """
        self.folder.check_data(data)
        network = self._vector_model(model)
        blocks = read_regions(data.store, data.store.index_of(product_ids))
        return _array([network.encode_products(b.to(self.device)).vectors for b in blocks])

    def _vector_model(self, name: str) -> Any:
        fields = getattr(model_spec(name).encodings_class, "__annotations__", {})
        if "vectors" not in fields:
            raise UsageError(
                f"{name} scores pairs and has no vectors; use {RETRIEVAL}, which is trained by"
                f" the stage {RETRIEVAL}"
            )
        return self.model(name)


def _array(parts: list[torch.Tensor]) -> NDArray[np.float32]:
    return np.asarray((torch.cat(parts) if parts else torch.empty(0, 0)).float().cpu())
