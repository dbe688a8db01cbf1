"""Per-query examples and the summary of the data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopsight.config import EvaluateConfig
from shopsight.data.dataset import PreparedData
from shopsight.metrics.evaluate import evaluate
from shopsight.prepare.kddcup.ingest import prepare_kddcup
from shopsight.ranking.run import top_k
from shopsight.reports.dataset import dataset_figures, split_grid
from shopsight.reports.query_examples import SHOWN, QueryExamples, best_and_worst
from shopsight.types import Qrels, Run


@pytest.fixture(scope="module")
def data(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare_kddcup(small_world, tmp_path_factory.mktemp("prepared") / "data")


@pytest.fixture(scope="module")
def run(data: PreparedData) -> Run:
    pools = data.pools("valid")
    return Run(pools, np.random.default_rng(3).random(len(pools.product_ids)))


def test_an_example_shows_the_head_of_the_ranking_and_missed_ranks(
    data: PreparedData, run: Run
) -> None:
    qrels = data.qrels("valid")
    examples = QueryExamples(data, "valid", run, qrels, lambda product: f"caption of {product}")
    queries = data.queries("valid")
    for query, text in zip(queries.ids, queries.texts, strict=True):
        example = examples.example(query, 0.25)
        ranking = top_k(run)[query]
        relevant = set(qrels.relevance[query])
        assert (example.text, example.value, example.relevant) == (text, 0.25, len(relevant))
        assert [shown.product_id for shown in example.candidates] == ranking[:SHOWN]
        assert [shown.relevant for shown in example.candidates] == [
            p in relevant for p in ranking[:6]
        ]
        assert [shown.rank for shown in example.candidates] == [1, 2, 3, 4, 5, 6]
        assert all(ranking[rank - 1] in relevant for rank in example.missed)
        hits = sum(shown.relevant for shown in example.candidates)
        assert hits + len(example.missed) == len(relevant)
        first = example.candidates[0]
        assert first.caption == f"caption of {first.product_id}"
        (index,) = data.store.index_of([first.product_id])
        height, width = data.store.image_sizes[index]
        assert first.aspect == width / height
        assert len(first.boxes) == len(first.labels) == len(data.store.read([index]).boxes)
        assert all(0 <= side <= 1 for box in first.boxes for side in box)


def test_an_unranked_query_has_an_empty_example(data: PreparedData, run: Run) -> None:
    examples = QueryExamples(data, "valid", run, Qrels({"nowhere": {"p": 1}}), str)
    example = examples.example("nowhere", 0)
    assert (example.text, example.candidates, example.relevant) == ("", (), 1)


def test_best_and_worst_by_value_then_relevant_products_then_length() -> None:
    run = Run.from_dict({q: {"good": 1.0, "bad": 0.0} for q in "abcde"})
    answers = {"a": "good", "b": "bad", "c": "good", "d": "bad", "e": "good"}
    qrels = Qrels({query: {product: 1} for query, product in answers.items()})
    evaluation = evaluate(run, qrels, EvaluateConfig(("mrr",)))
    texts = {"a": "x", "b": "x y", "c": "x y z", "d": "x y z", "e": "x"}
    assert best_and_worst(evaluation, "mrr", texts, qrels, 2) == (["c", "a"], ["d", "b"])
    assert best_and_worst(evaluation, "mrr", texts, qrels, 9) == (["c", "a"], ["d", "b"])
    counts = {"e": 3, "a": 2, "b": 1, "c": 0, "d": 0}
    several = Qrels({q: {"other": 0, **{str(i): 1 for i in range(n)}} for q, n in counts.items()})
    assert best_and_worst(evaluation, "mrr", texts, several, 2) == (["e", "a"], ["b", "d"])


def test_dataset_figures(data: PreparedData) -> None:
    grid = split_grid(data.manifest)
    assert [row[0] for row in grid.rows] == ["train", "valid", "testA"]
    assert grid.rows[0][1:3] == ("600", f"{len(data.queries('train')):,}")
    assert grid.rows[1][1:] == ("1,200", "40", "200", "40")
    figures = {figure.label: figure.value for figure in dataset_figures(data.manifest)}
    assert figures["products"] == f"{len(data.store):,}"
    assert figures["feature dimension"] == "16"
    assert len(figures) == 6


def test_candidates_contain_their_photos(
    data: PreparedData, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Photos:
        def jpeg(self, product: int) -> bytes | None:
            return None if product % 2 else f"photo {product}".encode()

    monkeypatch.setitem(data.__dict__, "photos", Photos())
    examples = QueryExamples(data, "valid", run, data.qrels("valid"), str)
    shown = examples.example(data.queries("valid").ids[0], 0.5).candidates
    for candidate in shown:
        (index,) = data.store.index_of([candidate.product_id])
        assert candidate.photo == (b"" if index % 2 else f"photo {index}".encode())
