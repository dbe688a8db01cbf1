"""Token dropout for training queries, after which no single word is relied on."""

from __future__ import annotations

import torch
from torch import Tensor

from shopsight.batches.batch import Tokens


def mask_token(tokens: Tokens, prob: float, unknown: int) -> Tokens:
    """Replace at most one token of each query by ``unknown``.

    Each token has the probability ``prob``; queries of more than 1 / prob tokens always lose one.
    """
    if not prob:
        return tokens
    return Tokens(tokens.ids.masked_fill(_choose_tokens(tokens, prob), unknown), tokens.mask)


def drop_token(tokens: Tokens, prob: float) -> Tokens:
    """Remove at most one token of each query that has two or more; see `mask_token`."""
    if not prob:
        return tokens
    dropped = _choose_tokens(tokens, prob) & (tokens.lengths > 1)[:, None]
    shifted = dropped.cumsum(1) > 0  # (B, T) from the dropped token on, read one to the right
    return Tokens(_shift_left(tokens.ids, shifted), _shift_left(tokens.mask, shifted))


def _choose_tokens(tokens: Tokens, prob: float) -> Tensor:
    """(B, T) True at the chosen token of the queries that lose one."""
    lengths, device = tokens.lengths, tokens.ids.device
    position = (torch.rand(len(tokens), device=device) * lengths).long()
    # One draw per query with prob * length, so that each token has the probability `prob`.
    happens = torch.rand(len(tokens), device=device) < prob * lengths
    chosen = torch.arange(tokens.ids.shape[1], device=device) == position[:, None]
    return chosen & happens[:, None]


def _shift_left(values: Tensor, where: Tensor) -> Tensor:
    following = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], 1)
    return torch.where(where, following, values)
