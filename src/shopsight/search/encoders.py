"""The trained models of an index: a run folder with nothing in it that only training needs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shopsight.batches.batch import Regions, Tokens, pad_tokens
from shopsight.config import FusionConfig, SearchConfig
from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import TRAIN
from shopsight.errors import DataError, UsageError
from shopsight.formats.atomic import write_json
from shopsight.inference.encode import pieces_of_words
from shopsight.inference.ensemble import ENSEMBLE, Ensemble, load_ensembles, save_ensembles
from shopsight.inference.load import load_model, trained_models
from shopsight.inference.run_folder import RUN, RunFolder
from shopsight.inference.trunk_cache import weights_key
from shopsight.models.attention import encode_by_length
from shopsight.models.base import Encodings
from shopsight.models.registry import explaining_model, model_spec
from shopsight.search.retrievers.base import Vectors
from shopsight.search.segment import DUAL
from shopsight.search.snapshot import as_vectors
from shopsight.text.normalise import words

WORDS, QUERIES = "words.json", "queries.json"
_SAMPLE = 1_000


class SearchModels:
    """Models that encode products and queries.

    Args:
        folder: an index's ``models``, or a run folder.
        names: which; the encoders of all of them run on every product.

    Raises:
        DataError: missing or damaged.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = RunFolder.read(folder)
        self.vocabulary = self.folder.vocabulary()
        self.names = tuple(names)
        self.ensemble = _mixture(self.folder)
        self._models: dict[str, Any] = {name: load_model(self.folder, name) for name in names}

    @cached_property
    def known_words(self) -> frozenset[str] | None:
        """The words of the training queries; None if they were not kept."""
        path = self.folder.path / WORDS
        return frozenset(json.loads(path.read_bytes())) if path.exists() else None

    @cached_property
    def sample(self) -> list[str]:
        """Some queries of the training split, none if there was none."""
        path = self.folder.path / QUERIES
        return list(json.loads(path.read_bytes())) if path.exists() else []

    def model(self, name: str) -> Any:
        """One of the models, in evaluation mode."""
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
        """Queries as the models read them, cut off where they are absurdly long."""
        most = SearchConfig().max_tokens
        short = [query[: most * 64] for query in queries]
        return pad_tokens([ids[:most] for ids in self.vocabulary.encode(short)],
                          self.vocabulary.pad)  # fmt: skip

    @torch.inference_mode()
    def encode_queries(self, tokens: Tokens, names: Sequence[str]) -> dict[str, Encodings]:
        """Encodings of queries by model."""
        return {name: self._models[name].encode_queries(tokens) for name in names}

    def query_vectors(self, queries: Sequence[str]) -> Vectors:
        """(Q, D) dual-encoder vectors of queries, of length 1."""
        encoded = self.encode_queries(self.tokens(queries), [DUAL])[DUAL]
        return as_vectors(encoded)

    def sample_vectors(self) -> Vectors | None:
        """`query_vectors` of the sample; None without one."""
        return self.query_vectors(self.sample) if self.sample else None

    def unknown_words(self, query: str) -> tuple[str, ...]:
        """The words of a query, as written, that no training query held."""
        written = query[: SearchConfig().max_tokens * 64].split()
        return tuple(dict.fromkeys(word for word in written if not self.knows(word)))

    def knows(self, word: str) -> bool:
        """Whether training queries held a written word; what is no word at all is known."""
        if any(unk == self.vocabulary.unk for unk in self.vocabulary.encode([word])[0]):
            return not words(word)
        known = self.known_words
        return known is None or all(one in known for one in words(word))

    def pieces(self, query: str) -> list[tuple[str, list[int]]]:
        """The words of a query as written, each with the places of its tokens."""
        return pieces_of_words(self.vocabulary, query[: SearchConfig().max_tokens * 64])

    @cached_property
    def _trunks(self) -> dict[str, str]:
        return {
            name: weights_key(model.encoder.trunk)
            for name, model in self._models.items()
            if model_spec(name).uses_trunk
        }


def models_of(run: RunFolder) -> dict[str, float]:
    """The models that an index of a run holds, and their weights in its ensemble.

    Raises:
        UsageError: the run has no dual encoder, without which nothing is recalled.
    """
    trained = trained_models(run)
    if DUAL not in trained:
        raise UsageError(
            f"{run.path}: an index recalls with the dual encoder; train the stage dual"
        )
    weights = _mixture(run).weights
    kept = {DUAL, explaining_model(trained)} | {name for name, weight in weights.items() if weight}
    return {name: weights.get(name, 0.0) for name in trained if name in kept}


def copy_models(run: RunFolder, data: PreparedData, names: Sequence[str], out: Path) -> None:
    """Write the models of an index.

    Args:
        run: the run folder.
        data: whose training queries say which words are known.
        names: which models.
        out: the folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    run.vocabulary().save(out / "vocabulary")
    for name in names:
        source, target = run.stage(name), out / name
        target.mkdir(exist_ok=True)
        shutil.copyfile(source.best, target / source.best.name)
        write_json(target / "done.json", source.done())
    ensemble = _mixture(run)
    kept = {name: weight for name, weight in ensemble.weights.items() if weight}
    save_ensembles([replace(ensemble, name=ENSEMBLE, weights=kept, curves=())], out)
    if TRAIN in data.splits:
        texts = data.queries(TRAIN).texts
        held = sorted({word for text in texts for word in words(text)})
        chosen = np.random.default_rng(0).permutation(len(texts))[:_SAMPLE].tolist()
        for name, content in ((WORDS, held), (QUERIES, [texts[i] for i in chosen])):
            write_json(out / name, content, indent=None)
    RUN.write(out, {**run.manifest, "data": ""})


def _mixture(run: RunFolder) -> Ensemble:
    """The ensemble of a run; without one, the last model that was trained."""
    for one in load_ensembles(run.path):
        if one.name == ENSEMBLE:
            return one
    trained = trained_models(run)
    if not trained:
        raise DataError(f"{run.path}: no stage is finished yet; go on with train --resume")
    return Ensemble(trained[-1], {trained[-1]: 1.0}, FusionConfig(), 0.0, 0.0, ())
