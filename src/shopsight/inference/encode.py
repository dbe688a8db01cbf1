"""Rank with a trained model: encode each product and each query once, then score pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shopsight.batches.batch import Regions, as_regions, pad_tokens
from shopsight.batches.loader import RegionReader
from shopsight.data.dataset import PreparedData
from shopsight.data.region_store import RegionStore
from shopsight.models.base import RankingModel
from shopsight.text.normalise import normalise
from shopsight.text.vocabulary import Vocabulary
from shopsight.types import IntArray, Pools, Run

_BATCH = 512  # queries or products that are encoded together


def rank_split(
    model: RankingModel[Any, Any],
    data: PreparedData,
    vocabulary: Vocabulary,
    split: str,
    *,
    pools: Pools | None = None,
    source: RegionReader | None = None,
    device: torch.device | str = "cpu",
) -> Run:
    """Score the candidates of a split with a model in eval mode, on its device.

    Args:
        pools: candidates of its queries; all pools of the split if left out.
        source: where regions are read; the store of the data if left out.

    Raises:
        DataError: an unknown split or candidate.
    """
    pools = data.pools(split) if pools is None else pools
    table = data.queries(split)
    texts = dict(zip(table.ids, table.texts, strict=True))
    return score_pools(model, data.store, vocabulary, pools, texts, source, device)


@torch.inference_mode()
def score_pools(
    model: RankingModel[Any, Any],
    store: RegionStore,
    vocabulary: Vocabulary,
    pools: Pools,
    texts: Mapping[str, str],
    source: RegionReader | None,
    device: torch.device | str,
) -> Run:
    """Score candidates of queries given by id and text; see `rank_split`."""
    queries = encode_texts(model, vocabulary, [texts[query] for query in pools.query_ids], device)
    # A product in several pools is encoded once: encoding costs far more than scoring a pair.
    rows = store.index_of(pools.product_ids.tolist())
    distinct, product_idx = np.unique(rows, return_inverse=True)
    blocks = [
        model.encode_products(regions.to(device))
        for regions in read_regions(store if source is None else source, distinct)
    ]
    scores = model.score_pairs(
        queries,
        type(blocks[0]).join(blocks),
        torch.from_numpy(pools.query_idx).to(device),
        torch.from_numpy(product_idx.reshape(-1)).to(device),
    )
    return Run(pools, scores.double().cpu().numpy())


def encode_texts(
    model: RankingModel[Any, Any],
    vocabulary: Vocabulary,
    texts: Sequence[str],
    device: torch.device | str,
) -> Any:
    """Encodings of at least one query."""
    ids = vocabulary.encode(texts)
    blocks = [
        model.encode_queries(pad_tokens(ids[start : start + _BATCH], vocabulary.pad).to(device))
        for start in range(0, len(ids), _BATCH)
    ]
    return type(blocks[0]).join(blocks)


def read_regions(source: RegionReader, products: IntArray) -> Iterator[Regions]:
    """The regions of products (P,), in order, some hundred products at a time."""
    through_trunk = bool(getattr(source, "through_trunk", False))
    for start in range(0, len(products), _BATCH):
        yield as_regions(source.read(products[start : start + _BATCH]), through_trunk)


def one_product(data: PreparedData, product_id: str, device: torch.device | str) -> Regions:
    """The regions of one product. Raises DataError for an unknown id."""
    (regions,) = read_regions(data.store, data.store.index_of([product_id]))
    return regions.to(device)


def word_weights(vocabulary: Vocabulary, text: str, weights: Tensor) -> list[tuple[str, float]]:
    """The words of a query as written, with the summed ``weights`` (T,) of their tokens."""
    of_token = weights.tolist()
    return [
        (word, sum((of_token[position] for position in positions), 0.0))
        for word, positions in align_words(vocabulary, text)
    ]


def align_words(vocabulary: Vocabulary, text: str) -> list[tuple[str, list[int]]]:
    """The words of a query as written, with the positions of their tokens; stop words have none."""
    (ids,) = vocabulary.encode([text])
    tokens = [vocabulary.tokens[token] for token in ids]
    position, words = 0, []
    for word in text.split():
        rest, positions = normalise(word), list[int]()
        # An unknown word is a single token, which shares no letters with it.
        unknown = position < len(ids) and ids[position] == vocabulary.unk
        if unknown and rest not in vocabulary.stop:
            positions, rest, position = [position], "", position + 1
        while (
            position < len(ids) and rest and (piece := tokens[position].removeprefix("##")) in rest
        ):
            rest = rest.partition(piece)[2]
            positions.append(position)
            position += 1
        words.append((word, positions))
    return words
