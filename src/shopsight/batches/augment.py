"""Leaving a word out of training queries now and then, so that no word is relied on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from shopsight.batches.batch import Tokens


def mask_token(tokens: Tokens, chance: float, unknown: int) -> Tokens:
    """Replace at most one token of each query; each of its tokens is the one by a chance.

    Args:
        tokens: B queries.
        chance: of each token, from 0 to 1; a query of more than 1 / chance tokens always loses one.
        unknown: what takes its place.
    """
    if not chance:
        return tokens
    return Tokens(tokens.ids.masked_fill(_chosen(tokens, chance), unknown), tokens.mask)


def drop_token(tokens: Tokens, chance: float) -> Tokens:
    """Leave out at most one token of each query of two or more; see `mask_token`."""
    if not chance:
        return tokens
    out = _chosen(tokens, chance) & (tokens.lengths > 1)[:, None]
    after = out.cumsum(1) > 0  # from the hole on, everything moves one to the left
    return Tokens(_moved(tokens.ids, after), _moved(tokens.mask, after))


def _chosen(tokens: Tokens, chance: float) -> Tensor:
    """(B, T) True at one token of some queries."""
    lengths, device = tokens.lengths, tokens.ids.device
    place = (torch.rand(len(tokens), device=device) * lengths).long()
    happens = torch.rand(len(tokens), device=device) < chance * lengths
    at = torch.arange(tokens.ids.shape[1], device=device) == place[:, None]
    return at & happens[:, None]


def _moved(values: Tensor, after: Tensor) -> Any:
    following = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], 1)
    return torch.where(after, following, values)
