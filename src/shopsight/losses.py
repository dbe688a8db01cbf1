"""Every loss of every stage; pure functions of tensors, each a mean over the rows of a batch.

B rows, U distinct products, V words, N caption tokens. In an in-batch matrix the row is a query
and the column a product. ``positive`` masks are True where a pair is known to go together.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from shopsight.scoring import at_least_float32


def bce_with_hard_negatives(logits: Tensor, labels: Tensor, hardest: int) -> Tensor:
    """Logistic loss of all labels and of the words with the largest loss among the others.

    The loss of a word that is no label grows with its logit, so the hardest are those with the
    largest logits, and only theirs are computed.

    Args:
        logits: (B, V).
        labels: (B, V) bool.
        hardest: words that are no label and count, for each row; all if there are fewer.

    Returns:
        () sum over the words, mean over the rows (method section 3).

    >>> labels = torch.tensor([[True, False, False]])
    >>> logits = torch.tensor([[0.0, 0.0, -9.0]])
    >>> round(bce_with_hard_negatives(logits, labels, hardest=1).item(), 4)
    1.3863
    """
    logits = at_least_float32(logits)
    others = logits.masked_fill(labels, -torch.inf)
    if hardest < logits.shape[1]:
        others = others.topk(hardest, dim=1, sorted=False).values
    loss = functional.softplus(-logits[labels]).sum() + functional.softplus(others).sum()
    return loss / len(logits)


def caption_cross_entropy(logits: Tensor, targets: Tensor, rows: int) -> Tensor:
    """Cross entropy, summed over the tokens of a caption and averaged over the captions.

    Args:
        logits: (N, V).
        targets: (N,) int64; -1 is left out.
        rows: B, the captions that the N tokens are of.

    Returns:
        ().
    """
    logits = at_least_float32(logits)
    return functional.cross_entropy(logits, targets, ignore_index=-1, reduction="sum") / rows


def margin_ranking(positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """() mean of [margin - positive + negative]_+ over (B,) pairs of scores.

    >>> margin_ranking(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 0.0]), 0.5).item()
    0.25
    """
    return (margin - positive + negative).relu().mean()


def max_hinge(scores: Tensor, positive: Tensor, margin: float) -> Tensor:
    """Hinge with the hardest negative of the batch, over queries and over products.

    Faghri et al., "VSE++", 2018.

    Args:
        scores: (B, B), the diagonal is clicked.
        positive: (B, B) bool, pairs that are no negatives; the diagonal never is one.
        margin: how much the clicked pair must lead.

    Returns:
        () mean_i max_j [margin + S_ij - S_ii]_+ + mean_j max_i [margin + S_ij - S_jj]_+.

    >>> scores = torch.tensor([[1.0, 0.8], [0.0, 2.0]])
    >>> round(max_hinge(scores, torch.zeros(2, 2, dtype=torch.bool), 0.5).item(), 4)
    0.15
    """
    clicked = scores.diagonal()
    others = scores.masked_fill(positive | _diagonal(scores), -torch.inf)
    over_products = (margin + others.amax(1) - clicked).relu()
    over_queries = (margin + others.amax(0) - clicked).relu()
    return over_products.mean() + over_queries.mean()


def binary_cross_entropy(positive: Tensor, *negatives: Tensor) -> Tensor:
    """() binary cross entropy of logits (B,) of pairs that go together and of others, mean of all.

    >>> round(binary_cross_entropy(torch.zeros(2), torch.zeros(2)).item(), 4)
    0.6931
    """
    logits = at_least_float32(torch.cat([-positive, *negatives]))
    return functional.softplus(logits).mean()


def info_nce(
    scores: Tensor,
    product_idx: Tensor,
    positive: Tensor,
    scale: float | Tensor,
    margin: float = 0.0,
) -> Tensor:
    """Softmax cross entropy over the batch, of queries over products and of products over queries.

    Additive margin: Wang et al., "Additive Margin Softmax", 2018.

    Args:
        scores: (Q, U), each query with each distinct product; the first B queries are clicked,
            any others are negatives only.
        product_idx: (B,) which product each of the B queries was clicked with.
        positive: (Q, U) bool, pairs that are no negatives.
        scale: factor on the scores.
        margin: what is taken off the score of the clicked pair.

    Returns:
        () mean of the two directions.

    >>> scores, rows = torch.zeros(2, 2), torch.arange(2)
    >>> clicked = torch.eye(2, dtype=torch.bool)
    >>> round(info_nce(scores, rows, clicked, scale=14.0).item(), 4)
    0.6931
    """
    rows = torch.arange(len(product_idx), device=scores.device)
    clicked = scale * (at_least_float32(scores)[rows, product_idx] - margin)  # (B,)
    others = (scale * at_least_float32(scores)).masked_fill(positive, -torch.inf)
    over_products = others[: len(rows)].index_put((rows, product_idx), clicked)  # (B, U)
    over_queries = others.T[product_idx].index_put((rows, rows), clicked)  # (B, Q)
    by_query = functional.cross_entropy(over_products, product_idx)
    return (by_query + functional.cross_entropy(over_queries, rows)) / 2


def _diagonal(square: Tensor) -> Tensor:
    return torch.eye(len(square), dtype=torch.bool, device=square.device)
