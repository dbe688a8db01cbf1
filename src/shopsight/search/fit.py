"""What an index fits on validation clicks: the cut-off, and the weight of words in texts."""

from __future__ import annotations

import numpy as np

from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import VALID
from shopsight.search.encoders import SearchModels
from shopsight.search.lexical import TermIndex, fit_text_weight, match_texts
from shopsight.search.retrievers.faiss import ReadVectors
from shopsight.types import IntArray

_MIN_PAIRS = 20  # fewer say little about a quantile
_QUERIES = 300  # for the weight
_BLOCK = 1 << 16


def fit_cutoff(
    models: SearchModels, data: PreparedData, read: ReadVectors, recall: float
) -> float | None:
    """The cosine that a fraction ``recall`` of the relevant validation pairs reaches.

    None with a recall of 0 or without enough relevance judgements: then every product matches.
    ``read`` returns the dual vectors of the data's rows.
    """
    pairs = _relevant(data) if recall else np.empty((0, 2), np.int64)
    if len(pairs) < _MIN_PAIRS:
        return None
    query_idx, product_idx = pairs.T
    vectors = models.query_vectors(data.queries(VALID).texts)[query_idx]
    return float(np.quantile((vectors * read(product_idx)).sum(1), 1 - recall))


def fit_weight(
    models: SearchModels, data: PreparedData, read: ReadVectors, terms: TermIndex
) -> float:
    """The weight of the coverage of known words; see `fit_text_weight`."""
    pairs, products = _relevant(data), len(data.products)
    if len(pairs) < _MIN_PAIRS:
        return 0.0
    alive, cosines, texts, relevant = np.ones(products, bool), [], [], []
    for i in np.unique(pairs[:, 0])[:_QUERIES].tolist():
        text = data.queries(VALID).texts[i]
        (vector,) = models.query_vectors([text])
        blocks = (np.arange(start, min(start + _BLOCK, products))
                  for start in range(0, products, _BLOCK))  # fmt: skip
        cosines.append(np.concatenate([read(block) @ vector for block in blocks]).astype(float))
        matches = match_texts(text, [(0, terms)], alive, models.knows_term)
        texts.append(np.zeros(products))
        texts[-1][matches.rows] = matches.known
        relevant.append(np.zeros(products, bool))
        relevant[-1][pairs[pairs[:, 0] == i, 1]] = True
    return fit_text_weight(cosines, texts, relevant)


def _relevant(data: PreparedData) -> IntArray:
    """(N, 2) the relevant validation pairs: index of the query, row of the product."""
    if VALID not in data.splits or not data.has_qrels(VALID):
        return np.empty((0, 2), np.int64)
    queries, rows = data.queries(VALID), {name: row for row, name in enumerate(data.products)}
    relevance = data.qrels(VALID).relevance
    pairs = [
        (idx, rows[product])
        for idx, query in enumerate(queries.ids)
        for product, grade in relevance.get(query, {}).items()
        if grade > 0 and product in rows
    ]
    return np.array(pairs, np.int64).reshape(-1, 2)
