"""Ranking with a trained model: each product and each query is encoded once, then pairs scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shopsight.batches.batch import Regions, as_regions, pad_tokens
from shopsight.batches.loader import RegionReader
from shopsight.data.dataset import PreparedData
from shopsight.data.region_store import RegionStore
from shopsight.models.base import Encodings, RankingModel
from shopsight.text.normalise import normalise
from shopsight.text.vocabulary import Vocabulary
from shopsight.types import FloatArray, IntArray, Pools, Run

_PRODUCTS_AT_ONCE = 512
_QUERIES_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class Encoded:
    """Pools ready to be scored: N candidates of Q queries, P distinct products.

    Attributes:
        pools: the candidates.
        queries: codes of the Q queries.
        products: codes of the P products.
        product_idx: (N,) which product each candidate is.
    """

    pools: Pools
    queries: Encodings
    products: Encodings
    product_idx: IntArray

    def scores(self, model: RankingModel[Any, Any]) -> FloatArray:
        """(N,) scores of the candidates by the model that encoded them."""
        device = next(iter(self.queries.tensors().values())).device
        query_idx = torch.from_numpy(self.pools.query_idx).to(device)
        product_idx = torch.from_numpy(self.product_idx).to(device)
        found = model.score_pairs(self.queries, self.products, query_idx, product_idx)
        return found.double().cpu().numpy()


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
    """Score the candidates of a split.

    Args:
        model: in eval mode, on the device.
        data: the prepared folder.
        vocabulary: the model's.
        split: whose queries.
        pools: candidates of the split's queries; those of the folder if left out.
        source: where regions are read; the folder's store if left out.
        device: where the model is.

    Raises:
        DataError: there is no such split, or no such candidate.
    """
    pools = data.pools(split) if pools is None else pools
    table = data.queries(split)
    texts = dict(zip(table.ids, table.texts, strict=True))
    encoded = encode(model, data.store, vocabulary, pools, texts, source, device)
    with torch.inference_mode():
        return Run(pools, encoded.scores(model))


@torch.inference_mode()
def encode(
    model: RankingModel[Any, Any],
    store: RegionStore,
    vocabulary: Vocabulary,
    pools: Pools,
    texts: Mapping[str, str],
    source: RegionReader | None = None,
    device: torch.device | str = "cpu",
) -> Encoded:
    """Encode every query and every distinct product of some pools, once.

    Args:
        model: see `rank_split`.
        store: the catalogue.
        vocabulary: see `rank_split`.
        pools: the candidates.
        texts: query texts by id.
        source: see `rank_split`.
        device: see `rank_split`.
    """
    stored = store.index_of(pools.product_ids.tolist())
    products, product_idx = np.unique(stored, return_inverse=True)
    queries = encode_texts(model, vocabulary, [texts[query] for query in pools.query_ids], device)
    encodings = [
        model.encode_products(regions.to(device))
        for regions in read_regions(store if source is None else source, products)
    ]
    joined = type(encodings[0]).join(encodings)
    return Encoded(pools, queries, joined, product_idx.reshape(-1))


def encode_texts(
    model: RankingModel[Any, Any],
    vocabulary: Vocabulary,
    texts: Sequence[str],
    device: torch.device | str,
) -> Any:
    """Encodings of at least one query, some hundred queries at a time."""
    ids = vocabulary.encode(texts)
    blocks = [
        pad_tokens(ids[start : start + _QUERIES_AT_ONCE], vocabulary.pad)
        for start in range(0, len(ids), _QUERIES_AT_ONCE)
    ]
    encodings = [model.encode_queries(block.to(device)) for block in blocks]
    return type(encodings[0]).join(encodings)


def read_regions(source: RegionReader, products: IntArray) -> Iterator[Regions]:
    """The regions of products (P,), in order, some hundred products at a time."""
    through_trunk = bool(getattr(source, "through_trunk", False))
    for start in range(0, len(products), _PRODUCTS_AT_ONCE):
        part = products[start : start + _PRODUCTS_AT_ONCE]
        yield as_regions(source.read(part), through_trunk)


def one_product(data: PreparedData, product_id: str, device: torch.device | str) -> Regions:
    """The regions of one product. Raises DataError for an id that is not there."""
    (regions,) = read_regions(data.store, data.store.index_of([product_id]))
    return regions.to(device)


def shown_words(vocabulary: Vocabulary, text: str, weights: Tensor) -> list[tuple[str, float]]:
    """A query as written, each word with the weight of its tokens; words left out have 0.

    Args:
        vocabulary: the model's.
        text: the query.
        weights: (T,) one weight for each token of the query, as `Vocabulary.encode` gives them.
    """
    known = weights.tolist()
    return [
        (word, sum((known[at] for at in places), 0.0))
        for word, places in pieces_of_words(vocabulary, text)
    ]


def pieces_of_words(vocabulary: Vocabulary, text: str) -> list[tuple[str, list[int]]]:
    """A query as written, each word with the places of its tokens; words left out have none.

    Args:
        vocabulary: the model's.
        text: the query.
    """
    (ids,) = vocabulary.encode([text])
    tokens = [vocabulary.tokens[one] for one in ids]
    at, found = 0, []
    for word in text.split():
        rest, places = normalise(word), []
        if at < len(ids) and ids[at] == vocabulary.unk and rest not in vocabulary.stop:
            places, rest, at = [at], "", at + 1
        while at < len(ids) and rest and (piece := tokens[at].removeprefix("##")) in rest:
            rest = rest.partition(piece)[2]
            places.append(at)
            at += 1
        found.append((word, places))
    return found
