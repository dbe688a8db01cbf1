"""Scores from encodings of queries and products: pure functions of tensors.

Q queries, P products, N pairs or tokens, T query tokens, H heads, E word vector dimension. Masks
are True at real tokens. Sums, softmax and scores are at least float32, whatever goes in.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def at_least_float32(tensor: Tensor) -> Tensor:
    """Cast to float32, except float64.

    >>> at_least_float32(torch.ones(1, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def dot(left: Tensor, right: Tensor) -> Tensor:
    """(..., N, M) inner products of (..., N, E) and (..., M, E), summed in float32.

    >>> dot(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]])).tolist()
    [[11.0, 2.0]]
    """
    with torch.autocast(left.device.type, enabled=False):
        return at_least_float32(left) @ at_least_float32(right).mT


def unit(vectors: Tensor) -> Tensor:
    """Scale vectors (..., D) to length 1, in float32."""
    return functional.normalize(at_least_float32(vectors), dim=-1)


def max_sim(words: Tensor, heads: Tensor) -> Tensor:
    """(..., T) max_h <word_t, head_h> of words (..., T, E) and heads (..., H, E).

    MaxSim (ColBERT, Khattab and Zaharia, 2020) before its sum, over a photo's heads instead of a
    document's tokens. Every head is real, so no mask is needed here; tokens are masked in
    `weighted_sum`.

    >>> max_sim(torch.tensor([[1.0, 0.0]]), torch.tensor([[-2.0, 9.0], [-1.0, 0.0]])).tolist()
    [-1.0]
    """
    return dot(words, heads).amax(-1)


def max_sim_matrix(words: Tensor, heads: Tensor) -> Tensor:
    """(N, P) `max_sim` of all words (N, E) with all photos (P, H, E)."""
    similarities = dot(words, heads.flatten(0, 1))  # (N, P * H)
    return similarities.view(len(words), len(heads), -1).amax(-1)


def token_weights(logits: Tensor, mask: Tensor) -> Tensor:
    """(..., T) softmax over the real tokens of each query; 0 elsewhere.

    >>> token_weights(torch.tensor([0.0, 0.0, 9.0]), torch.tensor([True, True, False])).tolist()
    [0.5, 0.5, 0.0]
    """
    return at_least_float32(logits).masked_fill(~mask, -torch.inf).softmax(-1)


def weighted_sum(similarities: Tensor, logits: Tensor, mask: Tensor) -> Tensor:
    """(...,) sums of token similarities (..., T), weighted by a softmax over real tokens.

    Each row has one; docs/method.md, section 4.

    >>> similarities, mask = torch.tensor([-2.0, -4.0, 5.0]), torch.tensor([True, True, False])
    >>> weighted_sum(similarities, torch.zeros(3), mask).item()
    -3.0
    """
    weights = token_weights(logits, mask)
    # Weights of padding are 0, but 0 * nan is nan: clear what padding holds, too.
    return (weights * at_least_float32(similarities).masked_fill(~mask, 0)).sum(-1)


def mean_log_likelihood(logits: Tensor, mask: Tensor, normalised: bool = False) -> Tensor:
    """(...,) mean of log sigmoid(logits) over the real tokens (..., T): the label match score.

    Normalised logits are log probabilities already.

    >>> mean_log_likelihood(torch.tensor([0.0, 9.0]), torch.tensor([True, False])).item()
    -0.6931471824645996
    """
    logits = at_least_float32(logits)
    likelihood = logits if normalised else functional.logsigmoid(logits)
    return likelihood.masked_fill(~mask, 0).sum(-1) / mask.sum(-1)


def score_in_chunks(
    score: Callable[[Tensor, Tensor, int], Tensor],
    query_idx: Tensor,
    product_idx: Tensor,
    lengths: Tensor,
    size: int,
) -> Tensor:
    """(N,) scores of pairs in chunks of similar query length, to bound memory and padding.

    Args:
        score: from query indices (n,), product indices (n,) and the longest query among them to
            scores (n,).
        query_idx: (N,) of the pairs.
        product_idx: (N,) of the pairs.
        lengths: (Q,) tokens of each query.
        size: most pairs per chunk.
    """
    tokens, order = lengths[query_idx].sort(stable=True)
    if not len(order):
        return tokens.float()
    scores = [
        score(query_idx[part], product_idx[part], int(longest[-1]))
        for part, longest in zip(torch.split(order, size), torch.split(tokens, size), strict=True)
    ]
    return torch.cat(scores)[order.argsort()]
