"""The cut-off: the cosine from which on a product counts as a match of a text query."""

from __future__ import annotations

import numpy as np

from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import VALID
from shopsight.search.encoders import SearchModels
from shopsight.search.retrievers.faiss import ReadVectors

_MIN_PAIRS = 20  # fewer say little about a quantile


def fit_cutoff(
    models: SearchModels, data: PreparedData, read: ReadVectors, recall: float
) -> float | None:
    """The cosine that a fraction ``recall`` of the relevant validation pairs reaches.

    None with a recall of 0 or without enough relevance judgements: then every product matches.
    ``read`` returns the dual vectors of the data's rows.
    """
    if not recall or VALID not in data.splits or not data.has_qrels(VALID):
        return None
    queries, rows = data.queries(VALID), {name: row for row, name in enumerate(data.products)}
    relevance = data.qrels(VALID).relevance
    pairs = np.array([
        (idx, rows[product])
        for idx, query in enumerate(queries.ids)
        for product, grade in relevance.get(query, {}).items()
        if grade > 0 and product in rows
    ])  # fmt: skip
    if len(pairs) < _MIN_PAIRS:
        return None
    query_idx, product_idx = pairs.T
    vectors = models.query_vectors(queries.texts)[query_idx]
    return float(np.quantile((vectors * read(product_idx)).sum(1), 1 - recall))
