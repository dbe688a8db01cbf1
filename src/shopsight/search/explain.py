"""Why a product was found: which words decided, and which region of its photo answers each.

The word weights and matches are word match's own. A head of the photo is a weighted sum over its
regions (method section 3), so what a word finds in its best head is a sum over regions too: the
region that adds most to it answers the word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shopsight import scoring
from shopsight.models.word_match import WordMatch, WordProducts
from shopsight.search.encoders import WORD_MATCH, SearchModels
from shopsight.search.results import Explanation, WordMatched
from shopsight.search.snapshot import Snapshot
from shopsight.types import IntArray


@dataclass(frozen=True, eq=False)
class _Seen:
    """What each of T tokens finds in each of N photos.

    Attributes:
        weights: (N, T) those of a photo add up to 1.
        matches: (N, T).
        parts: for each photo (T, R), what each region adds to the match; R is 0 where regions
            are not kept.
    """

    weights: Tensor
    matches: Tensor
    parts: Sequence[Tensor]


@torch.inference_mode()
def explain(
    models: SearchModels, snapshot: Snapshot, query: str, rows: IntArray
) -> list[Explanation]:
    """Why a query finds products.

    Args:
        models: of the index.
        snapshot: the index.
        query: as it was asked.
        rows: (N,) of the products.
    """
    boxes = [snapshot.boxes(row) for row in rows.tolist()]
    pieces = [(word, places, models.knows(word)) for word, places in models.pieces(query)]
    if WORD_MATCH not in models.names or not len(rows):
        words = tuple(WordMatched(word, 0.0, None, None, known) for word, _, known in pieces)
        return [Explanation(words, one) for one in boxes]
    seen = _look(models, snapshot, query, rows)
    return [
        Explanation(tuple(_matched(seen, number, *one) for one in pieces), boxes[number])
        for number in range(len(rows))
    ]


def _matched(seen: _Seen, number: int, word: str, places: list[int], known: bool) -> WordMatched:
    """A word before one photo: its pieces together."""
    at = torch.tensor([place for place in places if place < seen.weights.shape[1]])
    if not len(at):
        return WordMatched(word, 0.0, None, None, known)
    weights = seen.weights[number, at]
    shares = weights / weights.sum().clamp(min=1e-12)
    match = float((shares * seen.matches[number, at]).sum())
    parts = shares @ seen.parts[number][at]
    region = int(parts.argmax()) if len(parts) else None
    return WordMatched(word, float(weights.sum()), match, region, known)


def _look(models: SearchModels, snapshot: Snapshot, query: str, rows: IntArray) -> _Seen:
    model: WordMatch = models.model(WORD_MATCH)
    queries = model.encode_queries(models.tokens([query]))
    products = snapshot.encodings(WORD_MATCH, rows)
    assert isinstance(products, WordProducts)
    each = torch.arange(len(rows))
    weights = model.word_weights(queries, products, torch.zeros_like(each), each)
    matches, heads = scoring.dot(queries.words[0], products.heads).max(2)  # (N, T, H)
    parts = [weights.new_zeros(weights.shape[1], 0)] * len(rows)
    if snapshot.has_regions:
        parts = _by_region(model, snapshot, queries.words[0], heads, rows)
    return _Seen(weights, matches, parts)


def _by_region(
    model: WordMatch, snapshot: Snapshot, words: Tensor, heads: Tensor, rows: IntArray
) -> list[Tensor]:
    """For each of N photos (T, R): what each region adds to each word's match.

    Args:
        model: word match.
        snapshot: the index.
        words: (T, E).
        heads: (N, T) the best head of each word.
        rows: (N,).
    """
    regions, layers = snapshot.regions(rows), model.encoder.heads
    through = model.encoder.through_trunk(regions)
    counts = regions.packing.softmax(scoring.at_least_float32(layers.weight_mlp(through)[:, 0]))
    embedded = scoring.at_least_float32(layers.embed_mlp(through)) * counts[:, None]  # (R, hidden)
    last = layers.output_proj.weight.view(layers.count, words.shape[1], -1)[1:]  # (H, E, hidden)
    asked = torch.einsum("te,heg->thg", words, last)  # (T, H, hidden)
    bias = words @ layers.output_proj.bias.view(layers.count, -1)[1:].T  # (T, H)
    lengths = regions.lengths.tolist()
    token = torch.arange(len(words))
    return [
        asked[token, head] @ here.T + bias[token, head][:, None] * share
        for head, here, share in zip(
            heads, torch.split(embedded, lengths), torch.split(counts, lengths), strict=True
        )
    ]
