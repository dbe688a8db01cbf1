"""Per-query examples for the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from shopsight.data.dataset import PreparedData
from shopsight.inference.attention import AttentionWeights
from shopsight.metrics.evaluate import Evaluation
from shopsight.types import Box, Qrels, Run

SHOWN = 6


@dataclass(frozen=True)
class Candidate:
    """A ranked product."""

    product_id: str
    rank: int  # from 1
    relevant: bool
    caption: str
    boxes: tuple[Box, ...]  # regions, as fractions of height and width
    labels: tuple[str, ...]  # class names of the regions
    aspect: float  # width of its image divided by the height
    weights: tuple[float, ...] = ()  # attention weight of each region; empty if no model has them
    photo: bytes = b""  # a JPEG file; empty if the data has no photos


@dataclass(frozen=True)
class QueryExample:
    """A query and the head of its ranking."""

    query_id: str
    text: str
    value: float  # of the headline metric
    relevant: int  # number of relevant products
    candidates: tuple[Candidate, ...]  # the first products, best first
    missed: tuple[int, ...]  # ranks of the relevant products below ``candidates``
    words: tuple[
        tuple[str, float], ...
    ] = ()  # attention weights for the first product; may be empty


def best_and_worst(
    evaluation: Evaluation, metric: str, texts: Mapping[str, str], qrels: Qrels, count: int = 3
) -> tuple[list[str], list[str]]:
    """Ids of the queries with the highest and with the lowest values of a metric.

    Each list has ``count`` queries, but at most half of all.
    """
    values = dict(zip(evaluation.query_ids, evaluation.per_query[metric].tolist(), strict=True))

    # Many queries reach exactly 0 or 1. Those with the most relevant products and the longest
    # texts are the hardest to get right or wrong by chance.
    def tie_break(query: str) -> tuple[int, int, str]:
        relevant = sum(grade > 0 for grade in qrels.relevance[query].values())
        return -relevant, -len(texts.get(query, "")), query

    queries = sorted(values, key=tie_break)
    count = min(count, len(queries) // 2)
    best = sorted(queries, key=lambda query: -values[query])[:count]
    return best, sorted(queries, key=lambda query: values[query])[:count]


class QueryExamples:
    """Builds the examples of one run; ``caption`` describes a product, given its id."""

    def __init__(
        self,
        data: PreparedData,
        split: str,
        run: Run,
        qrels: Qrels,
        caption: Callable[[str], str],
        attention: AttentionWeights | None = None,
    ) -> None:
        self._store, self._photos, self._qrels = data.store, data.photos, qrels
        self._caption, self._attention = caption, attention
        queries = data.queries(split)
        self.texts = dict(zip(queries.ids, queries.texts, strict=True))
        bounds = run.pools.offsets
        self._ranking = {
            query: run.pools.product_ids[run.order[bounds[i] : bounds[i + 1]]].tolist()
            for i, query in enumerate(run.pools.query_ids)
        }
        labels = data.manifest["regions"]["labels"]
        self._labels = {int(number): str(label["name"]) for number, label in labels.items()}

    def example(self, query_id: str, value: float) -> QueryExample:
        """The example of a query, whose value of the headline metric is ``value``."""
        ranking = self._ranking.get(query_id, [])
        grades = self._qrels.relevance[query_id]
        relevant = {product for product, grade in grades.items() if grade > 0}
        text = self.texts.get(query_id, "")
        candidates = tuple(
            self._candidate(product, rank, product in relevant)
            for rank, product in enumerate(ranking[:SHOWN], 1)
        )
        missed = (i for i, product in enumerate(ranking, 1) if i > SHOWN and product in relevant)
        words = self._attention.words(text, ranking[0]) if self._attention and ranking else ()
        return QueryExample(
            query_id, text, value, len(relevant), candidates, tuple(missed), tuple(words)
        )

    def _candidate(self, product_id: str, rank: int, relevant: bool) -> Candidate:
        (index,) = self._store.index_of([product_id])
        regions = self._store.read(np.array([index]))
        height, width = self._store.image_sizes[index].tolist()
        return Candidate(
            product_id,
            rank,
            relevant,
            self._caption(product_id),
            tuple(Box(*box[:4]) for box in regions.boxes),
            tuple(self._labels.get(label, f"label {label}") for label in regions.labels.tolist()),
            width / height,
            tuple(self._attention.regions(product_id)) if self._attention else (),
            (self._photos.jpeg(int(index)) if self._photos else None) or b"",
        )
