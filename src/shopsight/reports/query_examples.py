"""Queries told one by one: what was asked, what came first, what was missed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shopsight.data.dataset import PreparedData
from shopsight.metrics.evaluate import Evaluation
from shopsight.types import Box, Qrels, Run

SHOWN = 6


@dataclass(frozen=True)
class Candidate:
    """A ranked product.

    Attributes:
        product_id: its id.
        place: in the ranking, from 1.
        relevant: by the answers.
        note: a few words about it.
        boxes: its regions, as shares of height and width.
        labels: what the regions are.
        aspect: width of its image divided by the height.
        weights: the share of each region in the photo's embedding; empty where no model says.
        photo: a JPEG file; empty where data came without photos.
    """

    product_id: str
    place: int
    relevant: bool
    note: str
    boxes: tuple[Box, ...]
    labels: tuple[str, ...]
    aspect: float
    weights: tuple[float, ...] = ()
    photo: bytes = b""


@dataclass(frozen=True)
class QueryExample:
    """One query and the head of its ranking.

    Attributes:
        query_id: its id.
        text: what was asked.
        value: of the headline metric.
        relevant: how many products are relevant.
        candidates: the best ones, best first.
        missed: places of the relevant products that are not among ``candidates``.
        words: the query's words, each with its weight; empty where no model weighs them.
    """

    query_id: str
    text: str
    value: float
    relevant: int
    candidates: tuple[Candidate, ...]
    missed: tuple[int, ...]
    words: tuple[tuple[str, float], ...] = ()


def best_and_worst(
    evaluation: Evaluation,
    metric: str,
    texts: dict[str, str],
    count: int = 3,
    relevant: Mapping[str, int] | None = None,
) -> tuple[list[str], list[str]]:
    """Query ids with the highest and with the lowest values.

    Of equal ones those with most relevant products come first, then the longest: they ask for most.

    Args:
        evaluation: of the run the stories are about.
        metric: one of its metrics.
        texts: ``{query id: text}``.
        count: how many of each; fewer where there are not twice as many queries.
        relevant: how many relevant products a query has; alike if left out.
    """
    values = dict(zip(evaluation.query_ids, evaluation.per_query[metric].tolist(), strict=True))
    many = relevant or {}
    asked = sorted(
        values, key=lambda query: (-many.get(query, 0), -len(texts.get(query, "")), query)
    )
    count = min(count, len(asked) // 2)
    worst = sorted(asked, key=lambda query: values[query])[:count]
    return sorted(asked, key=lambda query: -values[query])[:count], worst


class QueryExamples:
    """Tells queries of one split as one run ranks them.

    Args:
        data: the prepared folder.
        split: the split that was ranked.
        run: the ranking.
        qrels: the answers.
        note: a few words about a product, by its id.
        words: the words of a query with their weights before a product, by text and product id.
        regions: the weights of a product's regions, by its id.
    """

    def __init__(
        self,
        data: PreparedData,
        split: str,
        run: Run,
        qrels: Qrels,
        note: Callable[[str], str],
        words: Callable[[str, str], Sequence[tuple[str, float]]] | None = None,
        regions: Callable[[str], Sequence[float]] | None = None,
    ) -> None:
        self._store, self._qrels, self._note = data.store, qrels, note
        self._photos = data.photos
        self._words, self._regions = words, regions
        queries = data.queries(split)
        self.texts = dict(zip(queries.ids, queries.texts, strict=True))
        bounds = run.pools.offsets
        self._ranking = {
            query: run.pools.product_ids[run.order[bounds[i] : bounds[i + 1]]].tolist()
            for i, query in enumerate(run.pools.query_ids)
        }
        named = data.manifest["regions"]["labels"]
        self._labels = {int(number): str(entry["name"]) for number, entry in named.items()}

    def tell(self, query_id: str, value: float) -> QueryExample:
        """The story of one query, whose value of the headline metric is ``value``."""
        ranking = self._ranking.get(query_id, [])
        grades = self._qrels.relevance[query_id]
        relevant = {product for product, grade in grades.items() if grade > 0}
        places = [place for place, one in enumerate(ranking, 1) if one in relevant]
        text = self.texts.get(query_id, "")
        return QueryExample(
            query_id,
            text,
            value,
            len(relevant),
            tuple(
                self._candidate(product, place, product in relevant)
                for place, product in enumerate(ranking[:SHOWN], 1)
            ),
            tuple(place for place in places if place > SHOWN),
            tuple(self._words(text, ranking[0])) if self._words and ranking else (),
        )

    def _candidate(self, product_id: str, place: int, relevant: bool) -> Candidate:
        (index,) = self._store.index_of([product_id])
        regions = self._store.read(np.array([index]))
        height, width = self._store.image_sizes[index].tolist()
        return Candidate(
            product_id,
            place,
            relevant,
            self._note(product_id),
            tuple(Box(*box[:4]) for box in regions.boxes),
            tuple(self._labels.get(label, f"label {label}") for label in regions.labels.tolist()),
            width / height,
            tuple(self._regions(product_id)) if self._regions else (),
            (self._photos.jpeg(int(index)) if self._photos else None) or b"",
        )
