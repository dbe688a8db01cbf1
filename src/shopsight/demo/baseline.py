"""Word-centroid baseline of the demo; no neural network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shopsight.data.dataset import PreparedData
from shopsight.ranking.centroids import Vectors, pool_regions, score_pools, word_centroids
from shopsight.text.normalise import words
from shopsight.text.stopwords import stop_words
from shopsight.types import Run

BASELINE = "word-centroids"
_PAIRS_AT_ONCE = 1024


def centroid_run(data: PreparedData, split: str) -> Run:
    """Rank a split with word centroids: the floor that every trained model has to beat."""
    pools, queries = data.pools(split), data.queries(split)
    centroids = word_centroids(_clicks(data))
    texts = dict(zip(queries.ids, queries.texts, strict=True))
    stored = data.store.index_of(pools.product_ids.tolist())
    products, row = np.unique(stored, return_inverse=True)
    regions = data.store.read(products)
    vectors = pool_regions(regions.features, regions.lengths, "max")
    tokens = [_tokens(texts[query]) for query in pools.query_ids]
    return score_pools(centroids, pools, tokens, vectors, row, BASELINE)


def _clicks(data: PreparedData) -> Iterator[tuple[list[list[str]], Vectors]]:
    tokens = [_tokens(text) for text in data.queries("train").texts]
    pairs = data.pairs("train")
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        regions = data.store.read(pairs.products[part])
        clicked = [tokens[query] for query in pairs.queries[part].tolist()]
        yield clicked, pool_regions(regions.features, regions.lengths, "max")


def _tokens(text: str) -> list[str]:
    return [word for word in words(text) if word not in stop_words()]
