"""Words of the products' texts: an inverted index per segment, and the products that hold them.

A product's text score is a weighted coverage: the part of the query's words that its texts hold,
each word weighted by its inverse document frequency over all segments (Robertson and Zaragoza, "The
Probabilistic Relevance Framework: BM25 and Beyond", 2009; product titles are too short for term
frequencies and lengths to matter). Words that no training query holds say nothing to the vectors,
so they count in full; the weight of all others is fitted on validation clicks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shopsight.data.id_index import IdIndex
from shopsight.formats.append_npy import map_npy
from shopsight.search.filters import as_text
from shopsight.search.manifest import INDEX
from shopsight.text.normalise import singular, words
from shopsight.types import BoolArray, FloatArray, IntArray

TERMS, STARTS, ROWS = "terms.npy", "term_starts.npy", "term_rows.npy"
_LONGEST_TERM = 64


@dataclass(frozen=True, eq=False)
class TextMatches:
    """Products whose texts hold words of a query.

    Attributes:
        rows: (n,) in ascending order.
        known: (n,) coverage of the words that training queries hold, from 0 to 1.
        new: (n,) coverage of the other words that any product holds, from 0 to 1.
        whole: (n,) whether a product holds every word of the query that any product holds.
    """

    rows: IntArray
    known: FloatArray
    new: FloatArray
    whole: BoolArray


class TermIndex:
    """The inverted index of a segment, memory-mapped."""

    def __init__(self, folder: Path) -> None:
        self._terms: NDArray[np.bytes_] = map_npy(folder / TERMS, INDEX.remedy)
        self._starts: IntArray = map_npy(folder / STARTS, INDEX.remedy)
        self._rows: NDArray[np.int32] = map_npy(folder / ROWS, INDEX.remedy)
        self._index = IdIndex(self._terms, np.arange(len(self._terms)))

    @classmethod
    def open(cls, folder: Path) -> TermIndex | None:
        """Open the index of a segment's folder; None if its products have no texts."""
        return cls(folder) if (folder / TERMS).exists() else None

    def rows(self, terms: Sequence[str]) -> list[IntArray]:
        """The rows (n,) that hold each term, ascending."""
        positions = self._index.positions(terms).tolist()
        return [
            self._rows[self._starts[i] : self._starts[i + 1]].astype(np.int64) if i >= 0
            else np.empty(0, np.int64)
            for i in positions
        ]  # fmt: skip

    def counts(self) -> Iterator[tuple[str, int]]:
        """All terms, each with the number of products that hold it."""
        terms = (term.decode() for term in self._terms.tolist())
        return zip(terms, np.diff(self._starts).tolist(), strict=True)


def write_terms(folder: Path, fields: pa.Table, names: Sequence[str]) -> None:
    """Index the words of the named text fields (in any case); nothing without such fields."""
    chosen = {name.casefold() for name in names}
    columns = [name for name in fields.column_names if name.casefold() in chosen]
    if not columns:
        return
    postings: dict[str, list[int]] = {}
    texts = zip(*(as_text(fields.column(name)).to_pylist() for name in columns), strict=True)
    for row, values in enumerate(texts):
        for term in {term for value in values if value for term in terms_of(value)}:
            postings.setdefault(term, []).append(row)
    ordered = sorted(postings, key=lambda term: term.encode())
    lengths = [len(postings[term]) for term in ordered]
    np.save(folder / TERMS, np.array([term.encode() for term in ordered], np.bytes_))
    np.save(folder / STARTS, np.cumsum([0, *lengths], dtype=np.int64))
    rows = [row for term in ordered for row in postings[term]]
    np.save(folder / ROWS, np.array(rows, np.int32))


def terms_of(text: str) -> list[str]:
    """The distinct words of a text in the singular, in order.

    >>> terms_of("Red dresses, red SHOES (AB-12)")
    ['red', 'dress', 'shoe', 'ab-12']
    """
    cut = (singular(word)[:_LONGEST_TERM].rstrip("\0") for word in words(text))
    return list(dict.fromkeys(term for term in cut if term))


def match_texts(
    query: str,
    indexes: Iterable[tuple[int, TermIndex]],
    alive: BoolArray,
    knows: Callable[[str], bool],
) -> TextMatches:
    """The products that hold words of a query.

    Args:
        query: any text.
        indexes: first row and term index of each segment.
        alive: (P,) products that are not removed.
        knows: whether training queries hold a word.
    """
    terms = terms_of(query)
    by_term: list[list[IntArray]] = [[] for _ in terms]
    for start, index in indexes:
        for found, rows in zip(by_term, index.rows(terms), strict=True):
            found.append(rows + start)
    postings = [np.concatenate([*found, np.empty(0, np.int64)]).astype(np.int64)
                for found in by_term]  # fmt: skip
    postings = [rows[alive[rows]] for rows in postings]
    held = [i for i, rows in enumerate(postings) if len(rows)]
    rows = np.unique(np.concatenate([*(postings[i] for i in held), np.empty(0, np.int64)]))
    count, products = np.zeros(len(rows)), int(alive.sum())
    coverage = {known: np.zeros(len(rows)) for known in (True, False)}
    total = {True: 0.0, False: 0.0}
    for i in held:
        idf = float(np.log1p((products - len(postings[i]) + 0.5) / (len(postings[i]) + 0.5)))
        idx, known = np.searchsorted(rows, postings[i]), knows(terms[i])
        coverage[known][idx] += idf
        total[known] += idf
        count[idx] += 1
    ratios = {kind: coverage[kind] / max(total[kind], 1e-12) for kind in coverage}
    return TextMatches(rows.astype(np.int64), ratios[True], ratios[False], count == len(held))


def fit_text_weight(
    cosines: Sequence[FloatArray], texts: Sequence[FloatArray], relevant: Sequence[BoolArray]
) -> float:
    """The weight of the coverage of known words, added to the cosine.

    It maximises the mean reciprocal rank of the relevant products over the queries' products (P,),
    and is 0 unless both halves of the queries, each with the other half's weight, gain.
    """
    weights = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
    ranks = np.array([
        [_reciprocal_rank(cosine + weight * text, hits) for weight in weights]
        for cosine, text, hits in zip(cosines, texts, relevant, strict=True)
    ])  # fmt: skip
    if len(ranks) < 2:
        return 0.0
    halves = [ranks[::2].mean(0), ranks[1::2].mean(0)]
    for fitted, held_out in pairwise([*halves, halves[0]]):
        if held_out[int(fitted.argmax())] <= held_out[0]:
            return 0.0
    return weights[int(ranks.mean(0).argmax())]


def _reciprocal_rank(scores: FloatArray, relevant: BoolArray) -> float:
    """1 / rank of the best relevant product; a tie counts against it."""
    return 1 / (1 + int((scores[~relevant] >= scores[relevant].max()).sum()))
