"""Positive masks, which keep false negatives out of the in-batch losses."""

from __future__ import annotations

import torch
from torch import Tensor

from shopsight.batches.batch import PairBatch, Tokens
from shopsight.config import FalseNegatives


def positive_mask(batch: PairBatch, rule: FalseNegatives, ignored: Tensor) -> Tensor:
    """(B, U) True where a product must not serve as a negative of a query.

    Args:
        batch: B clicked pairs of U distinct products.
        rule: "duplicates" marks pairs clicked in any row with the same query; "subset" also marks
            products whose clicked queries together contain all words of the query.
        ignored: (n,) token ids that are not words, such as the unknown token.

    Raises:
        ValueError: the rule is "subset" and the batch lacks ``product_words``.
    """
    same_query = batch.query_keys[:, None] == batch.query_keys  # (B, B)
    clicked = same_query.new_zeros(len(batch), len(batch.regions))  # (B, U)
    clicked[torch.arange(len(batch), device=clicked.device), batch.product_idx] = True
    positive = (same_query.float() @ clicked.float()) > 0
    if rule == "duplicates":
        return positive
    if batch.product_words is None:
        raise ValueError("the rule 'subset' needs a batch with product_words")
    return positive | subset_mask(batch.queries, batch.product_words, ignored)


def subset_mask(queries: Tokens, words: Tokens, ignored: Tensor) -> Tensor:
    """(Q, P) True where the words of a query are a subset of a product's.

    A query without any word is a subset of no product; ``ignored`` tokens (n,) are not words.

    >>> from shopsight.batches.batch import pad_tokens
    >>> queries, words = pad_tokens([[4], [4, 5]], 0), pad_tokens([[4, 6], [5, 4]], 0)
    >>> subset_mask(queries, words, torch.tensor([0])).tolist()
    [[True, True], [False, True]]
    """
    is_word = queries.mask & ~torch.isin(queries.ids, ignored)  # (Q, T)
    size = int(max(queries.ids.max(), words.ids.max())) + 1
    missing = torch.ones(len(words), size, dtype=torch.bool, device=words.ids.device)
    product, column = words.mask.nonzero(as_tuple=True)
    missing[product, words.ids[product, column]] = False
    lacks = (missing[:, queries.ids] & is_word).any(2).T  # (P, Q, T) to (Q, P)
    return ~lacks & is_word.any(1)[:, None]
