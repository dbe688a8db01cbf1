"""Which queries and products of a batch are known to go together, so as not to be negatives."""

from __future__ import annotations

import torch
from torch import Tensor

from shopsight.batches.batch import PairBatch, Tokens
from shopsight.config import FalseNegatives


def positive_mask(batch: PairBatch, rule: FalseNegatives, ignored: Tensor) -> Tensor:
    """(B, U) True where a query of the batch is not to have a product as its negative.

    Args:
        batch: B clicked pairs of U distinct products.
        rule: "duplicates" are pairs that were clicked somewhere in the batch, under any row with
            the same query; "subset" are also the products whose clicked queries together hold
            all words of the query, and needs ``batch.product_words``.
        ignored: (n,) token ids that are no words, such as the unknown token; a query of these
            only is no subset of anything.

    Raises:
        ValueError: the rule is "subset" and the batch lacks the words.
    """
    same_query = batch.query_keys[:, None] == batch.query_keys  # (B, B)
    clicked = same_query.new_zeros(len(batch), len(batch.regions))
    clicked[torch.arange(len(batch), device=clicked.device), batch.product_idx] = True
    known = (same_query.float() @ clicked.float()) > 0
    if rule == "duplicates":
        return known
    if batch.product_words is None:
        raise ValueError("the batch holds no product_words, which the rule 'subset' needs")
    return known | subset_mask(batch.queries, batch.product_words, ignored)


def subset_mask(queries: Tokens, words: Tokens, ignored: Tensor) -> Tensor:
    """(Q, P) True where all words of a query are among a product's.

    Args:
        queries: Q queries.
        words: the words of each of P products.
        ignored: (n,) token ids that do not count as words.

    >>> from shopsight.batches.batch import pad_tokens
    >>> queries, words = pad_tokens([[4], [4, 5]], 0), pad_tokens([[4, 6], [5, 4]], 0)
    >>> subset_mask(queries, words, torch.tensor([0])).tolist()
    [[True, True], [False, True]]
    """
    pluralise = queries.mask & ~torch.isin(queries.ids, ignored)
    size = int(max(queries.ids.max(), words.ids.max())) + 1
    missing = torch.ones(len(words), size, dtype=torch.bool, device=words.ids.device)
    owner, place = words.mask.nonzero(as_tuple=True)
    missing[owner, words.ids[owner, place]] = False
    lacks = (missing[:, queries.ids] & pluralise).any(2).T  # (P, Q, T) to (Q, P)
    return ~lacks & pluralise.any(1)[:, None]
