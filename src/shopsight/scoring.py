"""How codes of queries and products become scores; pure functions of tensors.

Letters: Q queries, P products, N pairs or tokens, T query tokens, H heads, E width of a word
vector. Masks are True where a token is real. Whatever the precision of the codes, sums, softmax
and scores are float32 at least.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def at_least_float32(numbers: Tensor) -> Tensor:
    """The same numbers in float32, or as they are if they are wider already.

    >>> at_least_float32(torch.ones(1, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return numbers if numbers.dtype == torch.float64 else numbers.float()


def dot(left: Tensor, right: Tensor) -> Tensor:
    """(..., N, M) inner products of (..., N, E) with (..., M, E), summed in float32.

    >>> dot(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]])).tolist()
    [[11.0, 2.0]]
    """
    with torch.autocast(left.device.type, enabled=False):
        return at_least_float32(left) @ at_least_float32(right).mT


def cosine(left: Tensor, right: Tensor) -> Tensor:
    """(N,) cosines of rows (N, D) with rows (N, D).

    >>> cosine(torch.tensor([[3.0, 4.0]]), torch.tensor([[6.0, 8.0]])).tolist()
    [1.0]
    """
    return (unit(left) * unit(right)).sum(-1)


def unit(vectors: Tensor) -> Tensor:
    """Vectors (..., D) at length 1, in float32."""
    return torch.nn.functional.normalize(at_least_float32(vectors), dim=-1)


def max_sim(words: Tensor, heads: Tensor) -> Tensor:
    """What each word finds in a photo: its inner product with the head that suits it best.

    MaxSim over the heads of a photo (Khattab and Zaharia, "ColBERT", 2020, with heads for tokens).

    Args:
        words: (..., T, E).
        heads: (..., H, E).

    Returns:
        (..., T).

    >>> max_sim(torch.tensor([[1.0, 0.0]]), torch.tensor([[-2.0, 9.0], [-1.0, 0.0]])).tolist()
    [-1.0]
    """
    return dot(words, heads).amax(-1)


def max_sim_matrix(words: Tensor, heads: Tensor) -> Tensor:
    """(N, P) what each of N words (N, E) finds in each of P photos (P, H, E)."""
    found = dot(words, heads.flatten(0, 1))  # (N, P * H)
    return found.view(len(words), len(heads), -1).amax(-1)


def word_weights(logits: Tensor, mask: Tensor) -> Tensor:
    """(..., T) softmax over the real tokens of each query; 0 elsewhere.

    >>> word_weights(torch.tensor([0.0, 0.0, 9.0]), torch.tensor([True, True, False])).tolist()
    [0.5, 0.5, 0.0]
    """
    return at_least_float32(logits).masked_fill(~mask, -torch.inf).softmax(-1)


def weighted_words(found: Tensor, logits: Tensor, mask: Tensor) -> Tensor:
    """Scores: what the words of a query find, weighted (method section 4).

    Args:
        found: (..., T) what each word finds in the photo.
        logits: (..., T) how much each word matters, before the softmax.
        mask: (..., T), at least one True in each row.

    Returns:
        (...,) float32.

    >>> found, mask = torch.tensor([-2.0, -4.0, 5.0]), torch.tensor([True, True, False])
    >>> weighted_words(found, torch.zeros(3), mask).item()
    -3.0
    """
    weights = word_weights(logits, mask)
    return (weights * at_least_float32(found).masked_fill(~mask, 0)).sum(-1)


def mean_log_likelihood(found: Tensor, mask: Tensor) -> Tensor:
    """(...,) mean over the real tokens of log sigmoid(found), found (..., T): label match.

    >>> mean_log_likelihood(torch.tensor([0.0, 9.0]), torch.tensor([True, False])).item()
    -0.6931471824645996
    """
    likelihood = torch.nn.functional.logsigmoid(at_least_float32(found)).masked_fill(~mask, 0)
    return likelihood.sum(-1) / mask.sum(-1)


def in_chunks(
    score: Callable[[Tensor, Tensor, int], Tensor],
    query_idx: Tensor,
    product_idx: Tensor,
    lengths: Tensor,
    size: int,
) -> Tensor:
    """(N,) scores of N pairs, a chunk at a time, those of short queries together.

    Args:
        score: from (n,) queries, (n,) products and the most tokens of a query among them to (n,)
            scores.
        query_idx: (N,).
        product_idx: (N,).
        lengths: (Q,) tokens of each query.
        size: most pairs of a chunk.
    """
    tokens, order = lengths[query_idx].sort(stable=True)
    scores = [
        score(query_idx[part], product_idx[part], int(tokens[min(start + size, len(order)) - 1]))
        for start, part in zip(range(0, len(order), size), torch.split(order, size), strict=False)
    ]
    return torch.cat(scores)[order.argsort()] if len(order) else tokens.float()
