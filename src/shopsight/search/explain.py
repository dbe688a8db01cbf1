"""Explain a hit: the weight and match of each word, and the region that matches it.

Weights and matches are those of the explaining model (`shopsight.models.base.Explainable`). A word
points to the region that contributes most to its match.
"""

from __future__ import annotations

import torch

from shopsight.models.base import WordAttribution
from shopsight.models.registry import explaining_model
from shopsight.search.encoders import SearchModels
from shopsight.search.results import Explanation, WordMatched
from shopsight.search.snapshot import Snapshot
from shopsight.types import IntArray


@torch.inference_mode()
def explain(
    models: SearchModels, snapshot: Snapshot, query: str, rows: IntArray
) -> list[Explanation]:
    """Explain the products (N,) found for a query."""
    boxes = [snapshot.boxes(row) for row in rows.tolist()]
    words = [(word, tokens, models.knows(word)) for word, tokens in models.words(query)]
    name = explaining_model(models.names)
    if name is None or not len(rows):
        unmatched = tuple(WordMatched(word, 0.0, None, None, known) for word, _, known in words)
        return [Explanation(unmatched, product_boxes) for product_boxes in boxes]
    model = models.model(name)
    queries = model.encode_queries(models.tokens([query]))
    regions = snapshot.regions(rows) if snapshot.has_regions else None
    attribution = model.attribute(queries, snapshot.encodings(name, rows), regions)
    return [
        Explanation(tuple(_match(attribution, i, *word) for word in words), product_boxes)
        for i, product_boxes in enumerate(boxes)
    ]


def _match(
    attribution: WordAttribution, product: int, word: str, tokens: list[int], known: bool
) -> WordMatched:
    """Combine the tokens of a word."""
    # A long query is cut off, so its last words have tokens that no model read.
    idx = torch.tensor([token for token in tokens if token < attribution.weights.shape[1]])
    if not len(idx):
        return WordMatched(word, 0.0, None, None, known)
    weights = attribution.weights[product, idx]
    ratios = weights / weights.sum().clamp(min=1e-12)
    match = float((ratios * attribution.matches[product, idx]).sum())
    by_region = ratios @ attribution.by_region[product][idx]
    region = int(by_region.argmax()) if len(by_region) else None
    return WordMatched(word, float(weights.sum()), match, region, known)
