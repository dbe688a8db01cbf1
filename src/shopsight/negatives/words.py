"""Words of queries as a sparse matrix, the input of clusters and overlap neighbours."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from shopsight.text.normalise import last_word, words
from shopsight.types import IntArray, Progress, no_progress

_STEP = 50_000


@dataclass(frozen=True, eq=False)
class QueryWords:
    """Distinct words of U texts over a vocabulary of W words.

    ``incidence`` (U, W) is a scipy CSR matrix of float32 ones with sorted indices, ``last_words``
    (U,) the index of each text's last word in ``last_word_names``.
    """

    incidence: Any
    last_words: IntArray
    last_word_names: list[str]

    @cached_property
    def frequency(self) -> IntArray:
        """(W,) document frequency of each word."""
        return np.bincount(self.incidence.indices, minlength=self.incidence.shape[1])

    def __len__(self) -> int:
        return int(self.incidence.shape[0])


def index_words(texts: Sequence[str], progress: Progress = no_progress) -> QueryWords:
    """Split texts into words; progress has the stage "words".

    >>> queries = index_words(["red dress", "the Dress"])
    >>> queries.incidence.toarray().tolist(), queries.last_words.tolist()
    ([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]], [0, 0])
    """
    from scipy.sparse import csr_matrix

    word_ids: dict[str, int] = {}
    last_ids: dict[str, int] = {}
    # Typed arrays: lists of millions of Python ints would take eight times the memory.
    flat, offsets, last = array("i"), array("q", [0]), array("i")
    for done, text in enumerate(texts):
        if done % _STEP == 0:
            progress("words", done, len(texts))
        distinct = dict.fromkeys(words(text))
        flat.extend(word_ids.setdefault(word, len(word_ids)) for word in distinct)
        offsets.append(len(flat))
        last.append(last_ids.setdefault(last_word(text), len(last_ids)))
    progress("words", len(texts), len(texts))
    ones = np.ones(len(flat), np.float32)
    incidence = csr_matrix(
        (ones, np.array(flat, np.int32), np.array(offsets, np.int64)),
        shape=(len(texts), len(word_ids)),
    )
    incidence.sort_indices()
    return QueryWords(incidence, np.array(last, np.int64), list(last_ids))
