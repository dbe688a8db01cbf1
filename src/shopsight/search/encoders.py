"""The trained models of an index: a run folder without what only training needs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from shopsight.batches.batch import Regions, Tokens, pad_tokens
from shopsight.config import FusionConfig, SearchConfig
from shopsight.errors import DataError, UsageError
from shopsight.formats.atomic import write_json
from shopsight.inference.encode import align_words
from shopsight.inference.ensemble import ENSEMBLE, Ensemble, load_ensembles, save_ensembles
from shopsight.inference.load import load_model
from shopsight.inference.run_folder import QUERIES, RUN, WORDS, RunFolder
from shopsight.inference.trunk_cache import weights_key
from shopsight.models.attention import encode_by_length
from shopsight.models.base import Encodings
from shopsight.models.registry import (
    RETRIEVAL,
    explaining_model,
    model_spec,
    retrieval_model,
)
from shopsight.search.retrievers.base import Vectors
from shopsight.search.snapshot import as_vectors
from shopsight.text.normalise import singular, words

_CHARACTERS_PER_TOKEN = 64


class SearchModels:
    """Models that encode products and queries, of an index's ``models`` or of a run folder.

    Without ``names``, only the model that retrieves is loaded.
    """

    def __init__(self, folder: Path, names: Sequence[str] | None = None) -> None:
        self.folder = RunFolder.read(folder)
        self.retrieval = str(retrieval_model(self.folder.trained))
        names = [self.retrieval] if names is None else names
        self.vocabulary = self.folder.vocabulary()
        self.names = tuple(names)
        self.ensemble = _ensemble(self.folder)
        self._models: dict[str, Any] = {name: load_model(self.folder, name) for name in names}

    @cached_property
    def known_words(self) -> frozenset[str] | None:
        """Words of the training queries; None if they are not stored."""
        stored = self._stored(WORDS)
        return None if stored is None else frozenset(stored)

    @cached_property
    def sample(self) -> list[str]:
        """A sample of training queries; empty without a training split."""
        return self._stored(QUERIES) or []

    def _stored(self, name: str) -> list[str] | None:
        path = self.folder.path / name
        return list(json.loads(path.read_bytes())) if path.exists() else None

    def model(self, name: str) -> Any:
        """A loaded model, in evaluation mode."""
        return self._models[name]

    @torch.inference_mode()
    def encode_products(self, regions: Regions) -> dict[str, Encodings]:
        """Encodings of products by model."""
        return encode_by_length(
            self._encode_products,
            regions,
            lambda encodings, idx: {name: part.take(idx) for name, part in encodings.items()},
        )

    def _encode_products(self, regions: Regions) -> dict[str, Encodings]:
        # Models with equal frozen trunks share one pass through it.
        through: dict[str, Regions] = {}
        encodings: dict[str, Encodings] = {}
        for name, model in self._models.items():
            inputs = regions
            if name in self._trunks:
                key = self._trunks[name]
                if key not in through:
                    rows = model.encoder.through_trunk(regions)
                    through[key] = replace(regions, features=rows, through_trunk=True)
                inputs = through[key]
            encodings[name] = model.encode_products(inputs)
        return encodings

    def tokens(self, queries: Sequence[str]) -> Tokens:
        """Queries as tokens, truncated to `SearchConfig.max_tokens`."""
        ids = self.vocabulary.encode([_truncate(query) for query in queries])
        return pad_tokens([row[: SearchConfig().max_tokens] for row in ids], self.vocabulary.pad)

    @torch.inference_mode()
    def encode_queries(self, tokens: Tokens, names: Sequence[str]) -> dict[str, Encodings]:
        """Encodings of queries by model."""
        return {name: self._models[name].encode_queries(tokens) for name in names}

    def query_vectors(self, queries: Sequence[str]) -> Vectors:
        """(Q, D) dual-encoder vectors of queries, of length 1."""
        name = self.retrieval
        return as_vectors(self.encode_queries(self.tokens(queries), [name])[name])

    def sample_vectors(self) -> Vectors | None:
        """`query_vectors` of the sample; None without one."""
        return self.query_vectors(self.sample) if self.sample else None

    def unknown_words(self, query: str) -> tuple[str, ...]:
        """The words of a query, as written, that occur in no training query."""
        written = _truncate(query).split()
        return tuple(dict.fromkeys(word for word in written if not self.knows(word)))

    def knows(self, word: str) -> bool:
        """Test whether a word occurs in training queries; punctuation counts as known."""
        if self.vocabulary.unk in self.vocabulary.encode([word])[0]:
            return not words(word)
        return self.known_words is None or self.known_words.issuperset(words(word))

    def understands(self, query: str) -> bool:
        """Test whether a query has a token that the models were trained on."""
        unknown = {self.vocabulary.unk, self.vocabulary.pad}
        return not unknown.issuperset(self.vocabulary.encode([_truncate(query)])[0])

    def knows_term(self, term: str) -> bool:
        """Test whether training queries hold a word, given in the singular."""
        return term in self._known_terms if self._known_terms is not None else self.knows(term)

    @cached_property
    def _known_terms(self) -> frozenset[str] | None:
        known = self.known_words
        return None if known is None else frozenset(map(singular, known))

    def words(self, query: str) -> list[tuple[str, list[int]]]:
        """The words of a query as written, each with the positions of its tokens."""
        return align_words(self.vocabulary, _truncate(query))

    @cached_property
    def _trunks(self) -> dict[str, str]:
        return {
            name: weights_key(model.encoder.trunk)
            for name, model in self._models.items()
            if model_spec(name).uses_trunk
        }


def models_of(run: RunFolder) -> dict[str, float]:
    """The models that an index of a run stores, with their ensemble weights."""
    trained = run.trained
    retrieval = retrieval_model(trained)
    if retrieval is None:
        raise UsageError(
            f"{run.path}: retrieval needs the dual encoder; train the stage {RETRIEVAL}"
        )
    weights = _ensemble(run).weights
    kept = {retrieval, explaining_model(trained), *weights}
    return {name: weights.get(name, 0.0) for name in trained if name in kept}


def copy_models(run: RunFolder, names: Sequence[str], out: Path) -> None:
    """Write the models of an index, and the words and a sample of the training queries."""
    out.mkdir(parents=True, exist_ok=True)
    run.vocabulary().save(out / "vocabulary")
    for name in names:
        source, target = run.stage(name), out / name
        target.mkdir(exist_ok=True)
        shutil.copyfile(source.best, target / source.best.name)
        write_json(target / "done.json", source.done())
    save_ensembles([replace(_ensemble(run), name=ENSEMBLE)], out)
    # Of the run and not of the catalogue, whose words the models need not have seen.
    for name in (WORDS, QUERIES):
        if (run.path / name).exists():
            shutil.copyfile(run.path / name, out / name)
    # The path of the training data would be wrong elsewhere, and tells about the machine.
    RUN.write(out, {**run.manifest, "data": ""})


def _ensemble(run: RunFolder) -> Ensemble:
    """The ensemble of a run, or else the model trained last."""
    for ensemble in load_ensembles(run.path):
        if ensemble.name == ENSEMBLE:
            return ensemble
    trained = run.trained
    if not trained:
        raise DataError(f"{run.path}: no stage is finished; continue with train --resume")
    return Ensemble(trained[-1], {trained[-1]: 1.0}, FusionConfig(), 0.0, 0.0)


def _truncate(query: str) -> str:
    """Bound the work of tokenisation for absurdly long queries."""
    return query[: SearchConfig().max_tokens * _CHARACTERS_PER_TOKEN]
