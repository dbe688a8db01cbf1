"""Why a product was found: which words decided, and which region of its photo answers each.

The word weights and matches are word match's own. A head of the photo is a weighted sum over its
regions (method section 3), so what a word finds in its best head is a sum over regions too: the
region that adds most to it answers the word.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shopsight import scoring
from shopsight.batches.batch import Tokens
from shopsight.models.word_match import WordMatch, WordProducts
from shopsight.search.models import WORD_MATCH, SearchModels
from shopsight.search.results import Explanation, WordMatched
from shopsight.search.snapshot import Snapshot


@dataclass(frozen=True, eq=False)
class _Seen:
    """What each of T tokens finds in one photo.

    Attributes:
        weights: (T,) they add up to 1.
        matches: (T,).
        parts: (T, R) what each region adds to the match; R is 0 where regions are not kept.
    """

    weights: Tensor
    matches: Tensor
    parts: Tensor


@torch.inference_mode()
def explain(models: SearchModels, snapshot: Snapshot, query: str, row: int) -> Explanation:
    """Why a query finds a product.

    Args:
        models: of the index.
        snapshot: the index.
        query: as it was asked.
        row: of the product.
    """
    boxes = snapshot.boxes(row)
    pieces = models.pieces(query)
    if WORD_MATCH not in models.names:
        words = (WordMatched(word, 0.0, None, None, models.knows(word)) for word, _ in pieces)
        return Explanation(tuple(words), boxes)
    seen = _look(models, snapshot, models.tokens([query]), row)
    found = []
    for word, places in pieces:
        at = torch.tensor([place for place in places if place < len(seen.weights)])
        known = models.knows(word)
        if not len(at):
            found.append(WordMatched(word, 0.0, None, None, known))
            continue
        weights = seen.weights[at]
        shares = weights / weights.sum().clamp(min=1e-12)
        match = float((shares * seen.matches[at]).sum())
        parts = shares @ seen.parts[at]
        region = int(parts.argmax()) if len(parts) else None
        found.append(WordMatched(word, float(weights.sum()), match, region, known))
    return Explanation(tuple(found), boxes)


def _look(models: SearchModels, snapshot: Snapshot, tokens: Tokens, row: int) -> _Seen:
    model: WordMatch = models.model(WORD_MATCH)
    queries = model.encode_queries(tokens)
    products = snapshot.codes(WORD_MATCH, np.array([row]))
    assert isinstance(products, WordProducts)
    first = torch.zeros(1, dtype=torch.int64)
    weights = model.word_weights(queries, products, first, first)[0]
    scores = scoring.dot(queries.words[0], products.heads[0])  # (T, H)
    matches, heads = scores.max(1)
    parts = weights.new_zeros(len(weights), 0)
    if snapshot.has_regions:
        parts = _by_region(model, snapshot, queries.words[0], heads, row)
    return _Seen(weights, matches, parts)


def _by_region(
    model: WordMatch, snapshot: Snapshot, words: Tensor, heads: Tensor, row: int
) -> Tensor:
    """(T, R) what each region adds to the match of each word (T, E) with its head (T,)."""
    regions, layers = snapshot.regions(row), model.encoder.heads
    rows = model.encoder.through_trunk(regions)
    counts = regions.packing.softmax(scoring.full_precision(layers.weigh(rows)[:, 0]))
    embedded = scoring.full_precision(layers.embed(rows)) * counts[:, None]  # (R, hidden)
    last = layers.last.weight.view(layers.count, words.shape[1], -1)[heads + 1]  # (T, E, hidden)
    asked = torch.einsum("te,teh->th", words, last)
    bias = layers.last.bias.view(layers.count, -1)[heads + 1]
    return asked @ embedded.T + (words * bias).sum(1)[:, None] * counts
