"""What ``shopsight bench train | rank`` works on: random products, queries and models at a size."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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

_VOCABULARY, _OCCURRING = 30_522, 4_000  # BERT's ids, and how many of them a world's queries use
_WORDS, _QUERY_WORDS = 1_000, 3.9


@dataclass(frozen=True)
class Size:
    """How large everything is.

    Args:
        features: numbers per region feature.
        words: numbers per word vector.
        encoder: the image encoder.
    """

    features: int = 2048
    words: int = 1024
    encoder: EncoderConfig = field(default_factory=EncoderConfig)


PAPER = Size()
SMALL = Size(64, 64, EncoderConfig(attention_heads=4, feedforward=128, embed_hidden=128))


class BenchData:
    """A store of random products of the competition's shape, and queries clicked for them.

    Args:
        folder: where the store is written.
        size: of features and models.
        products: how many.
        queries: how many, each clicked for one product.
        seed: of everything random.

    Attributes:
        store: the products.
        texts: the queries.
        vocabulary: their words.
        rng: the generator that made them.
    """

    def __init__(self, folder: Path, size: Size, products: int, queries: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.size, self.store = size, _store(folder, size.features, products, rng)
        words = [f"word{i}" for i in range(_WORDS)]
        counts = np.clip(rng.poisson(_QUERY_WORDS, queries), 1, 21)
        self.texts = [" ".join(rng.choice(words, count)) for count in counts]
        self.vocabulary: Vocabulary = train_vocabulary([" ".join(words)], _OCCURRING)
        self.clicked = rng.integers(0, products, queries)
        self.rng = rng

    def pairs(self) -> ClickedPairs:
        """Every query clicked for one product."""
        groups, numbers = ungrouped(self.texts), np.arange(len(self.texts))
        lists = self.vocabulary.encode([self.texts[i] for i in groups.query])
        tokens = TokenLists.of(lists, self.vocabulary.pad)
        texts = groups.text.astype(np.int64)
        return ClickedPairs(numbers, texts, self.clicked, tokens, groups)

    def models(self) -> tuple[Any, ...]:
        """The models of the reference, with frozen word vectors and, where trained so, trunks."""
        recipe = Recipe(encoder=self.size.encoder)
        counts = (torch.arange(_VOCABULARY) < _OCCURRING).long()
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


def _store(folder: Path, width: int, products: int, rng: np.random.Generator) -> RegionStore:
    """Random products with as many regions as the competition's have."""
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
