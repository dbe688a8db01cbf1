"""Positive masks, which keep false negatives out of the losses: in-batch ones and drawn ones."""

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
    return positive | subset_mask(batch.queries, _product_words(batch), ignored)


def drawn_positives(
    batch: PairBatch, rule: FalseNegatives, ignored: Tensor
) -> tuple[Tensor, Tensor]:
    """Which drawn negatives are none: (B,) of the queries, and (B,) of the products.

    The sampler draws no clicked pair, so only "subset" marks any: a negative query all of whose
    words are among those of the clicked product, and a negative product whose words include all of
    the clicked query. See `positive_mask`.
    """
    assert batch.negative_queries is not None
    assert batch.negative_product_idx is not None
    if rule == "duplicates":
        none = torch.zeros_like(batch.product_idx, dtype=torch.bool)
        return none, none
    words = _product_words(batch)
    clicked, drawn = words.take(batch.product_idx), words.take(batch.negative_product_idx)
    queries = subset_rows(batch.negative_queries, clicked, ignored)
    return queries, subset_rows(batch.queries, drawn, ignored)


def _product_words(batch: PairBatch) -> Tokens:
    if batch.product_words is None:
        raise ValueError("the rule 'subset' needs a batch with product_words")
    return batch.product_words


def subset_rows(queries: Tokens, words: Tokens, ignored: Tensor) -> Tensor:
    """(B,) True where the words of a query are a subset of those in the same row of ``words``.

    >>> from shopsight.batches.batch import pad_tokens
    >>> queries, words = pad_tokens([[4], [4, 5]], 0), pad_tokens([[4, 6], [5, 6]], 0)
    >>> subset_rows(queries, words, torch.tensor([0])).tolist()
    [True, False]
    """
    is_word = queries.mask & ~torch.isin(queries.ids, ignored)  # (B, T)
    found = (queries.ids[:, :, None] == words.ids[:, None]) & words.mask[:, None]  # (B, T, W)
    return (found.any(2) | ~is_word).all(1) & is_word.any(1)


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
