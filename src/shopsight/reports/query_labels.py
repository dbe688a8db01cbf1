"""Kinds of queries for the slices of a report: length, head noun, known words, products."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import TRAIN
from shopsight.text.normalise import words
from shopsight.text.stopwords import stop_words
from shopsight.types import Qrels

_MOST_FIELDS = 4
_MOST_VALUES = 40  # of a field that divides products into categories
_MIXED = "mixed"


def query_labels(
    data: PreparedData, qrels: Qrels, texts: Mapping[str, str]
) -> dict[str, list[str]]:
    """Labels of every judged query, by kind; all in the order of the judgements."""
    queries = [_content(texts.get(query, "")) for query in qrels.relevance]
    relevant = [
        [product for product, grade in grades.items() if grade > 0]
        for grades in qrels.relevance.values()
    ]
    labels = {
        "query length": [_length(len(content)) for content in queries],
        "last word (head noun)": [content[-1] if content else "none" for content in queries],
    }
    if TRAIN in data.splits:
        known = Counter(word for text in data.queries(TRAIN).texts for word in set(_content(text)))
        labels["rarest word in training queries"] = [_rarity(known, words) for words in queries]
    labels["relevant products"] = [_amount(len(products)) for products in relevant]
    return labels | _by_field(data, relevant)


def _content(text: str) -> list[str]:
    return [word for word in words(text) if word not in stop_words()]


def _length(count: int) -> str:
    return f"{count} word{'s' * (count != 1)}" if count < 5 else "5 or more words"


def _rarity(known: Counter[str], content: Sequence[str]) -> str:
    count = min((known[word] for word in content), default=0)
    if not count:
        return "never seen"
    return (
        "seen 1 to 5 times" if count <= 5 else "seen 6 to 50 times" if count <= 50 else "seen more"
    )


def _amount(count: int) -> str:
    bounds = ((0, "none"), (1, "1"), (3, "2 to 3"), (5, "4 to 5"))
    return next((name for bound, name in bounds if count <= bound), "6 or more")


def _by_field(data: PreparedData, relevant: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """The value that most relevant products share, for fields with few values."""
    fields = data.fields
    if fields is None:
        return {}
    labels: dict[str, list[str]] = {}
    for name in fields.column_names:
        column = fields[name]
        if not pa.types.is_string(column.type) and not pa.types.is_boolean(column.type):
            continue
        if not 2 <= len(column.unique()) <= _MOST_VALUES or len(labels) == _MOST_FIELDS:
            continue
        values = column.to_pylist()
        labels[name] = [_shared(data, values.__getitem__, products) for products in relevant]
    return labels


def _shared(data: PreparedData, value: Callable[[int], object], products: Sequence[str]) -> str:
    if not products:
        return _MIXED
    counts = Counter(value(i) if i >= 0 else None for i in data.store.positions(products).tolist())
    (most, count), *_ = counts.most_common(1)
    return str(most) if count * 2 > len(products) and most is not None else _MIXED
