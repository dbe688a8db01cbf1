"""Which pairs stand together in which batch of an epoch: a pure function of its arguments."""

from __future__ import annotations

import numpy as np

from shopsight.types import AnyArray, IntArray


def shuffled_batches(texts: IntArray, size: int, rng: np.random.Generator) -> IntArray:
    """All pairs in random order, cut into batches in which no text stands twice.

    Args:
        texts: (N,) the text of each pair.
        size: B, pairs in a batch; fewer where there are fewer distinct texts.
        rng: the same state of it gives the same batches.

    Returns:
        (S, B) pairs. What is left when no full batch can be made is left out of this epoch.
    """
    return distinct_batches(texts, rng.permutation(len(texts)), size)


def grouped_batches(
    texts: IntArray, labels: AnyArray, size: int, rng: np.random.Generator
) -> IntArray:
    """Batches of pairs whose texts are like each other, as far as there are enough of them.

    Groups stand one after the other in random order and are cut into batches, so that a batch
    holds one large group or a few small ones; then the batches are shuffled.

    Args:
        texts: (N,) the text of each pair.
        labels: (U,) the group of each text.
        size: B, as in `shuffled_batches`.
        rng: the same state of it gives the same batches.

    Returns:
        (S, B) pairs.
    """
    groups = labels[texts]
    place = rng.permutation(int(labels.max()) + 1)[groups]
    order = np.lexsort((rng.random(len(texts)), place))
    return rng.permutation(distinct_batches(texts, order, size))


def distinct_batches(texts: IntArray, order: IntArray, size: int) -> IntArray:
    """Cut pairs, in order, into batches in which no text stands twice.

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
        batch = _from_waiting(waiting, size)
        taken = {text_of[row] for row in batch}
        while len(batch) < size and (row := next(rows, None)) is not None:
            text = text_of[row]
            if text in taken:
                waiting.setdefault(text, []).append(row)
            else:
                taken.add(text)
                batch.append(row)
        if len(batch) < size:
            return np.array(batches, np.int64).reshape(len(batches), size)
        batches.append(batch)


def _from_waiting(waiting: dict[int, list[int]], size: int) -> list[int]:
    """Take a row of each text that waits, at most ``size``, longest queue first."""
    texts = sorted(waiting, key=lambda text: -len(waiting[text]))[:size]
    batch = []
    for text in texts:
        batch.append(waiting[text].pop(0))
        if not waiting[text]:
            del waiting[text]
    return batch
