"""Random products, queries and models for ``shopsight bench train | rank``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from shopsight.batches.click_dataset import ClickedPairs, TokenLists
from shopsight.config import EncoderConfig, Recipe
from shopsight.data.region_store import RegionStore
from shopsight.models.registry import ModelInputs, model_specs
from shopsight.models.word_vectors import WordVectors
from shopsight.negatives.groups import ungrouped
from shopsight.text.vocabulary import Vocabulary, train_vocabulary

_VOCABULARY = 30_522  # BERT's
_LABELS = 4_000  # ids that occur in queries
_WORDS, _WORDS_PER_QUERY = 1_000, 3.9


class Size(NamedTuple):
    """Feature dimension, word vector dimension and image encoder."""

    features: int
    words: int
    encoder: EncoderConfig


SIZES = {
    "paper": Size(2048, 1024, EncoderConfig()),
    "small": Size(64, 64, EncoderConfig(attention_heads=4, feedforward=128, embed_hidden=128)),
}


class BenchData:
    """Random products in the competition's proportions, and queries clicked for one product each.

    The store is written to ``folder``; ``rng`` continues the stream that drew all of it.
    """

    def __init__(self, folder: Path, size: Size, products: int, queries: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.size, self.store = size, _write_store(folder, size.features, products, rng)
        words = [f"word{i}" for i in range(_WORDS)]
        counts = np.clip(rng.poisson(_WORDS_PER_QUERY, queries), 1, 21)
        self.texts = [" ".join(rng.choice(words, count)) for count in counts]
        self.vocabulary: Vocabulary = train_vocabulary([" ".join(words)], _LABELS)
        self.clicked = rng.integers(0, products, queries)
        self.rng = rng

    def pairs(self) -> ClickedPairs:
        """All queries with their clicked products."""
        groups = ungrouped(self.texts)
        ids = self.vocabulary.encode([self.texts[i] for i in groups.query])
        tokens = TokenLists.of(ids, self.vocabulary.pad)
        queries, texts = np.arange(len(self.texts)), groups.text.astype(np.int64)
        return ClickedPairs(queries, texts, self.clicked, tokens, groups)

    def models(self) -> tuple[Any, ...]:
        """The models of the reference, with frozen word vectors and, where trained so, trunks."""
        recipe = Recipe(encoder=self.size.encoder)
        counts = (torch.arange(_VOCABULARY) < _LABELS).long()
        models = []
        for spec in (spec for spec in model_specs() if spec.uses_trunk):
            words = WordVectors(_VOCABULARY, self.size.words)
            nn.init.normal_(words.table, std=0.05)
            inputs = ModelInputs(recipe, self.size.features, self.vocabulary, words, counts)
            model = spec.network_class.build(recipe.model(spec.name), inputs)
            model.words.requires_grad_(False)
            if recipe.model(spec.name).cache_trunk:
                model.encoder.freeze_trunk()
            models.append(model)
        return tuple(models)


def _write_store(folder: Path, width: int, products: int, rng: np.random.Generator) -> RegionStore:
    # A log-normal with the mean, quartiles and maximum of regions in the competition's data.
    lengths = np.clip(np.rint(rng.lognormal(np.log(2.8), 0.76, products)), 1, 91).astype(np.int64)
    count = int(lengths.sum())
    boxes = np.sort(rng.random((count, 2, 2)), 1).reshape(count, 4) * 800
    arrays = {
        "features-00000": rng.random((count, width), np.float32).astype(np.float16),
        "offsets": np.append(0, np.cumsum(lengths)),
        "boxes": boxes.astype(np.float32),
        "labels": np.zeros(count, np.int16),
        "image_sizes": np.full((products, 2), 800, np.int32),
        "product_ids": np.array([f"p{i}" for i in range(products)], np.bytes_),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return RegionStore(folder)
