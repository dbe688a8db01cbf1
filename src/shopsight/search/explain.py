"""Why a product was found: which words decided, and which region of its photo answers each.

Word weights and matches are those of the explaining model (`shopsight.models.base.Explainable`).
The region that contributes most to the match of a word answers the word.
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
    """Why a query finds products.

    Args:
        models: of the index.
        snapshot: the index.
        query: as it was asked.
        rows: (N,) of the products.
    """
    boxes = [snapshot.boxes(row) for row in rows.tolist()]
    pieces = [(word, places, models.knows(word)) for word, places in models.pieces(query)]
    name = explaining_model(models.names)
    if name is None or not len(rows):
        words = tuple(WordMatched(word, 0.0, None, None, known) for word, _, known in pieces)
        return [Explanation(words, one) for one in boxes]
    model = models.model(name)
    queries = model.encode_queries(models.tokens([query]))
    regions = snapshot.regions(rows) if snapshot.has_regions else None
    seen = model.attribute(queries, snapshot.encodings(name, rows), regions)
    return [
        Explanation(tuple(_matched(seen, number, *one) for one in pieces), boxes[number])
        for number in range(len(rows))
    ]


def _matched(
    seen: WordAttribution, number: int, word: str, places: list[int], known: bool
) -> WordMatched:
    """A word before one photo: its pieces together."""
    at = torch.tensor([place for place in places if place < seen.weights.shape[1]])
    if not len(at):
        return WordMatched(word, 0.0, None, None, known)
    weights = seen.weights[number, at]
    shares = weights / weights.sum().clamp(min=1e-12)
    match = float((shares * seen.matches[number, at]).sum())
    parts = shares @ seen.by_region[number][at]
    region = int(parts.argmax()) if len(parts) else None
    return WordMatched(word, float(weights.sum()), match, region, known)
