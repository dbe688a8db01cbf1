"""Rows of query, product and value, in which rankings, answers and candidates are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shopsight.errors import InputError
from shopsight.formats.fields import parse_grade, parse_id, parse_score
from shopsight.formats.layouts import Kind
from shopsight.types import FloatArray, IntArray, Pools

NOUNS = {"run": "scores", "answers": "answers", "candidates": "candidates"}
Listed = tuple[int | None, int, str, bool, Sequence[Any]]
"""Line, query, beginning of messages, whether pairs may be (score, product), and the pairs."""


@dataclass(frozen=True, eq=False)
class Rows:
    """N rows in file order.

    Attributes:
        query_ids: the distinct queries, also those without rows.
        query_idx: (N,) index into ``query_ids``.
        names: the distinct products.
        name_idx: (N,) index into ``names``.
        values: (N,) scores or grades.
        texts: ``{query id: text}`` where the file has texts.
        line: the line of a row; None where the file has no lines.
    """

    query_ids: tuple[str, ...]
    query_idx: IntArray
    names: list[str]
    name_idx: IntArray
    values: FloatArray
    texts: dict[str, str] | None
    line: Callable[[int], int | None]

    def pack(self) -> tuple[Pools, IntArray]:
        """The rows grouped by query, in file order inside a query, and the row of each."""
        order = np.argsort(self.query_idx, kind="stable")
        coded = self.query_idx[order], self.names, self.name_idx[order]
        return Pools.from_codes(self.query_ids, *coded), order

    def check_duplicates(self, path: str | Path) -> None:
        """Raise InputError, with the later line, if a query has a product twice."""
        keys = np.sort(self.query_idx * len(self.names) + self.name_idx)
        if np.all(keys[1:] != keys[:-1]):
            return
        order = np.lexsort((self.name_idx, self.query_idx))
        query, name = self.query_idx[order], self.name_idx[order]
        same = int(np.argmax((query[1:] == query[:-1]) & (name[1:] == name[:-1])))
        first, later = (self.line(int(row)) for row in order[same : same + 2])
        product, query_id = self.names[name[same]], self.query_ids[query[same]]
        reason = f"duplicate product {product!r} for query {query_id!r}"
        reason += f" (first in line {first})" if first != later else ""
        raise InputError(reason, path=path, line=later)


class RowBuilder:
    """Rows that are added one by one, with values that are parsed as the kind demands."""

    def __init__(self, kind: Kind) -> None:
        self.parse: Callable[[Any], float] = parse_grade if kind == "answers" else parse_score
        self.texts: dict[str, str] = {}
        self._queries: dict[str, int] = {}
        self._names: dict[str, int] = {}
        self._codes: list[tuple[int, int]] = []
        self._values: list[float] = []
        self._lines: list[int | None] = []

    def query(self, value: Any, *, new: bool = False) -> int:
        """The number of a query; raises ValueError for an invalid id, or one that is not new."""
        query = parse_id(value, "query id")
        if new and query in self._queries:
            raise ValueError(f"duplicate query {query!r}")
        return self._queries.setdefault(query, len(self._queries))

    def add(self, query: int, product: Any, value: float, line: int | None = None) -> None:
        """Append a row. Raises ValueError for an invalid product id."""
        name = self._names.setdefault(parse_id(product, "product id"), len(self._names))
        self._codes.append((query, name))
        self._values.append(value)
        self._lines.append(line)

    def rows(self) -> Rows:
        """All rows so far."""
        query_idx, name_idx = np.array(self._codes, np.int64).reshape(-1, 2).T
        values, texts = np.array(self._values, np.float64), self.texts or None
        coded = tuple(self._queries), query_idx, list(self._names), name_idx
        return Rows(*coded, values, texts, self._lines.__getitem__)
