"""Queries made from the words of other queries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_TRIES = 20


def recombined(texts: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """New queries: words of two queries that share their last word, then that word.

    A new query is as long as the first of the two, and none of ``texts``.

    Args:
        texts: distinct queries.
        count: number of new queries, at most; fewer if the words allow fewer.
        rng: random generator.

    >>> recombined(["red dress", "long blue dress"], 1, np.random.default_rng(0))
    ['long dress']
    """
    split = [text.split() for text in texts]
    by_last: dict[str, list[int]] = {}
    for i, words in enumerate(split):
        if words:
            by_last.setdefault(words[-1], []).append(i)
    known, made = {" ".join(words) for words in split}, list[str]()
    for _ in range(_TRIES * count):
        if len(made) == count:
            break
        *words, last = split[int(rng.integers(len(split)))] or [""]
        group = by_last.get(last, [])
        if not words or len(group) < 2:
            continue
        pool = list(dict.fromkeys([*words, *split[group[int(rng.integers(len(group)))]][:-1]]))
        chosen = np.sort(rng.permutation(len(pool))[: len(words)])
        text = " ".join([*(pool[i] for i in chosen), last])
        if text not in known:
            known.add(text)
            made.append(text)
    return made
