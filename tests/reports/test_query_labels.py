"""Kinds of queries: words, known words, numbers of relevant products, values of fields."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from shopsight.data.dataset import PreparedData
from shopsight.prepare.kddcup.ingest import prepare_kddcup
from shopsight.reports.query_labels import query_labels
from shopsight.types import Qrels


@pytest.fixture(scope="module")
def data(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare_kddcup(small_world, tmp_path_factory.mktemp("prepared") / "data")


def test_words_and_relevant_products(data: PreparedData) -> None:
    known = data.queries("train").texts[0].split()[-1]
    texts = {"1": f"{known}", "2": "zyxwv unheardof", "3": "", "4": "a b c d e f red"}
    grades = {"1": {"p": 1}, "2": {"p": 1, "q": 2, "r": 0}, "3": {"p": 0}, "4": {}}
    relevance = {**grades, "5": {str(i): 1 for i in range(6)}, "6": {str(i): 1 for i in range(4)}}
    labels = query_labels(data, Qrels(relevance), texts)
    assert labels["query length"][:3] == ["1 word", "2 words", "0 words"]
    assert labels["query length"][3] == "5 or more words"
    assert labels["last word (head noun)"][:4] == [known, "unheardof", "none", "red"]
    assert labels["rarest word in training queries"][0].startswith("seen")
    assert labels["rarest word in training queries"][1:3] == ["never seen", "never seen"]
    assert labels["relevant products"] == ["1", "2 to 3", "none", "none", "6 or more", "4 to 5"]


def test_fields_with_few_values_divide_the_queries(
    data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = data.store.product_ids
    fields = pa.table(
        {
            "title": [f"title {i}" for i in range(len(ids))],
            "category": ["shoes" if i % 2 else "bags" for i in range(len(ids))],
            "price": [float(i) for i in range(len(ids))],
            "sale": [i < 4 for i in range(len(ids))],
        }
    )
    data = PreparedData.open(data.path)
    monkeypatch.setattr(PreparedData, "fields", fields)
    relevance = {
        "1": {ids[1]: 1, ids[3]: 1, ids[0]: 1},  # two of three are shoes
        "2": {ids[0]: 1, ids[5]: 1},  # a tie
        "3": {"nowhere": 1},  # not in the data
        "4": {ids[4]: 0},
    }
    labels = query_labels(data, Qrels(relevance), {})
    assert labels["category"] == ["shoes", "mixed", "mixed", "mixed"]
    assert labels["sale"] == ["True", "mixed", "mixed", "mixed"]
    assert not {"title", "price"} & set(labels)
