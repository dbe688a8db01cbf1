"""Batches of an epoch: pure functions of the pairs and a random generator."""

from __future__ import annotations

import numpy as np

from shopsight.types import AnyArray, IntArray


def shuffled_batches(texts: IntArray, size: int, rng: np.random.Generator) -> IntArray:
    """(S, B) indices of all pairs, shuffled and cut into batches of distinct texts (N,).

    B is ``size``, or the number of distinct texts. Pairs that fill no batch are left out.
    """
    return distinct_batches(texts, rng.permutation(len(texts)), size)


def grouped_batches(
    texts: IntArray, labels: AnyArray, size: int, rng: np.random.Generator
) -> IntArray:
    """`shuffled_batches` of few groups each, from the group labels (U,) of the texts.

    Groups, the pairs of a group, and the batches are in random order.
    """
    groups = labels[texts]
    group_order = rng.permutation(int(labels.max()) + 1)[groups]
    order = np.lexsort((rng.random(len(texts)), group_order))
    return rng.permutation(distinct_batches(texts, order, size))


def distinct_batches(texts: IntArray, order: IntArray, size: int) -> IntArray:
    """Cut pairs, in order, into batches without a repeated text.

    A pair whose text is in the batch already waits for the next one.

    >>> distinct_batches(np.array([5, 5, 6, 7, 6, 5]), np.arange(6), 2).tolist()
    [[0, 2], [1, 3], [4, 5]]
    """
    size = min(size, len(np.unique(texts)))
    waiting: dict[int, list[int]] = {}
    batches: list[list[int]] = []
    rows = iter(order.tolist())
    text_of = texts.tolist()
    while True:
        batch = _take_waiting(waiting, size)
        in_batch = {text_of[row] for row in batch}
        while len(batch) < size and (row := next(rows, None)) is not None:
            text = text_of[row]
            if text in in_batch:
                waiting.setdefault(text, []).append(row)
            else:
                in_batch.add(text)
                batch.append(row)
        if len(batch) < size:
            return np.array(batches, np.int64).reshape(len(batches), size)
        batches.append(batch)


def _take_waiting(waiting: dict[int, list[int]], size: int) -> list[int]:
    """Remove and return one row of up to ``size`` waiting texts."""
    # The longest queues first: a frequent text left to the end could fill no batch.
    texts = sorted(waiting, key=lambda text: -len(waiting[text]))[:size]
    batch = []
    for text in texts:
        batch.append(waiting[text].pop(0))
        if not waiting[text]:
            del waiting[text]
    return batch
