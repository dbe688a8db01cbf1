"""Which words each query has: what clusters and overlap neighbours are made from."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from shopsight.text.normalise import last_word, words
from shopsight.types import IntArray

Progress = Callable[[str, int, int], None]
"""Told the stage, how much of it is done, and how much there is."""

_STEP = 50_000


@dataclass(frozen=True, eq=False)
class QueryWords:
    """The distinct words of U texts over a vocabulary of W words.

    Attributes:
        incidence: (U, W) scipy CSR matrix of float32 ones, indices sorted.
        last_words: (U,) which of ``last_word_names`` each text ends with.
        last_word_names: the distinct last words, in order of first appearance.
    """

    incidence: Any
    last_words: IntArray
    last_word_names: list[str]

    @cached_property
    def frequency(self) -> IntArray:
        """(W,) how many texts have each word."""
        return np.bincount(self.incidence.indices, minlength=self.incidence.shape[1])

    def __len__(self) -> int:
        return int(self.incidence.shape[0])


def index_words(texts: Sequence[str], progress: Progress | None = None) -> QueryWords:
    """Cut texts into words.

    >>> found = index_words(["red dress", "the Dress"])
    >>> found.incidence.toarray().tolist(), found.last_words.tolist()
    ([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]], [0, 0])
    """
    from scipy.sparse import csr_matrix

    places: dict[str, int] = {}
    lasts: dict[str, int] = {}
    flat, offsets, last = array("i"), array("q", [0]), array("i")
    for done, text in enumerate(texts):
        if progress and done % _STEP == 0:
            progress("words", done, len(texts))
        flat.extend(places.setdefault(word, len(places)) for word in dict.fromkeys(words(text)))
        offsets.append(len(flat))
        last.append(lasts.setdefault(last_word(text), len(lasts)))
    if progress:
        progress("words", len(texts), len(texts))
    ones = np.ones(len(flat), np.float32)
    incidence = csr_matrix(
        (ones, np.array(flat, np.int32), np.array(offsets, np.int64)),
        shape=(len(texts), len(places)),
    )
    incidence.sort_indices()
    return QueryWords(incidence, np.array(last, np.int64), list(lasts))
