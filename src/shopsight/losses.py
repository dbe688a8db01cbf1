"""Losses of all stages: pure functions of tensors, each a mean over the rows of a batch.

B rows, Q queries, U distinct products, V words, N caption tokens. In an in-batch matrix S, rows
are queries and columns are products. ``positive`` masks are True where a pair is not a negative.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from shopsight.scoring import at_least_float32


def bce_with_hard_negatives(logits: Tensor, labels: Tensor, hardest: int) -> Tensor:
    """Binary cross entropy of all labels and of the hardest negatives (docs/method.md, section 3).

    mean_b [sum_{v in labels_b} -log sigmoid(x_bv) + sum_{v in hardest_b} -log sigmoid(-x_bv)] of
    logits x (B, V) and bool labels (B, V); all negatives of a row if there are fewer.

    >>> labels = torch.tensor([[True, False, False]])
    >>> logits = torch.tensor([[0.0, 0.0, -9.0]])
    >>> round(bce_with_hard_negatives(logits, labels, hardest=1).item(), 4)
    1.3863
    """
    logits = at_least_float32(logits)
    negatives = logits.masked_fill(labels, -torch.inf)  # (B, V)
    if hardest < logits.shape[1]:
        # The loss of a negative grows with its logit: select by logit, and compute fewer losses.
        negatives = negatives.topk(hardest, dim=1, sorted=False).values  # (B, hardest)
    loss = functional.softplus(-logits[labels]).sum() + functional.softplus(negatives).sum()
    return loss / len(logits)


def label_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    """() mean_b mean_{v in labels_b} -log softmax(x_b)_v of logits x (B, V); labels (B, V) bool.

    The words of a photo share its probability and compete with all others; a row without a label
    adds 0 (docs/method.md, section 3).

    >>> labels = torch.tensor([[True, True, False]])
    >>> round(label_softmax(torch.zeros(1, 3), labels).item(), 4)
    1.0986
    """
    losses = -at_least_float32(logits).log_softmax(1) * labels
    return (losses.sum(1) / labels.sum(1).clamp(min=1)).mean()


def caption_cross_entropy(logits: Tensor, targets: Tensor, rows: int) -> Tensor:
    """() cross entropy summed over tokens, averaged over captions (docs/method.md, section 3).

    Of logits (N, V) and int64 targets (N,), of which -1 is ignored, in ``rows`` captions.
    """
    logits = at_least_float32(logits)
    return functional.cross_entropy(logits, targets, ignore_index=-1, reduction="sum") / rows


def margin_ranking(positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """() mean of [margin - positive + negative]_+ over pairs of scores (B,).

    >>> margin_ranking(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 0.0]), 0.5).item()
    0.25
    """
    return (margin - positive + negative).relu().mean()


def max_hinge(scores: Tensor, positive: Tensor, margin: float) -> Tensor:
    """Hinge with the hardest in-batch negative, in both directions (VSE++, Faghri et al., 2018).

    mean_i max_j [margin + S_ij - S_ii]_+ + mean_j max_i [margin + S_ij - S_jj]_+ of scores S
    (B, B), whose diagonal is clicked.

    >>> scores = torch.tensor([[1.0, 0.8], [0.0, 2.0]])
    >>> round(max_hinge(scores, torch.zeros(2, 2, dtype=torch.bool), 0.5).item(), 4)
    0.15
    """
    clicked = scores.diagonal()  # (B,)
    diagonal = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    negatives = scores.masked_fill(positive | diagonal, -torch.inf)  # (B, B)
    over_products = (margin + negatives.amax(1) - clicked).relu()  # (B,)
    over_queries = (margin + negatives.amax(0) - clicked).relu()  # (B,)
    return over_products.mean() + over_queries.mean()


def binary_cross_entropy(positive: Tensor, *negatives: Tensor) -> Tensor:
    """() binary cross entropy of logits (B,) of clicked pairs and of negatives, mean over all.

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
    """Symmetric in-batch softmax: InfoNCE (van den Oord et al., 2018) both ways, as in CLIP.

    (mean_b CE_u(s S_bu) + mean_b CE_q(s S_qb)) / 2 with the scale s, and with the margin taken off
    the score of the clicked pair (additive margin softmax, Wang et al., 2018). Radford et al.,
    "CLIP", 2021.

    Of the queries of S (Q, U), the first B are clicked, with the products ``product_idx`` (B,); any
    others are negatives only.

    >>> scores, rows = torch.zeros(2, 2), torch.arange(2)
    >>> clicked = torch.eye(2, dtype=torch.bool)
    >>> round(info_nce(scores, rows, clicked, scale=14.0).item(), 4)
    0.6931
    """
    rows = torch.arange(len(product_idx), device=scores.device)
    clicked = scale * (at_least_float32(scores)[rows, product_idx] - margin)  # (B,)
    # Known positives leave the softmax; then each row and column gets its own clicked pair back.
    negatives = (scale * at_least_float32(scores)).masked_fill(positive, -torch.inf)  # (Q, U)
    over_products = negatives[: len(rows)].index_put((rows, product_idx), clicked)  # (B, U)
    over_queries = negatives.T[product_idx].index_put((rows, rows), clicked)  # (B, Q)
    by_query = functional.cross_entropy(over_products, product_idx)
    return (by_query + functional.cross_entropy(over_queries, rows)) / 2


def listwise_kl(scores: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Divergence of a student's ranking from its teacher's (ListNet, Cao et al., 2007).

    mean_q sum_c p_qc log(p_qc / softmax_c(scores_qc)) with p = softmax_c(teacher), of logits (Q, C)
    of the candidates that the bool mask (Q, C) marks as real (Hinton et al., "Distilling the
    Knowledge in a Neural Network", 2015).

    >>> scores, mask = torch.tensor([[0.0, 1.0, 9.0]]), torch.tensor([[True, True, False]])
    >>> round(listwise_kl(scores, torch.tensor([[5.0, 6.0, 0.0]]), mask).item(), 6)
    0.0
    """
    target, output = (
        at_least_float32(logits).masked_fill(~mask, -torch.inf).log_softmax(1)
        for logits in (teacher, scores)
    )
    # Padding has the logarithm -inf in both: 0 * (-inf + inf) would be NaN.
    terms = (target.exp() * (target - output)).masked_fill(~mask, 0)
    return terms.sum(1).mean()


def clicked_softmax(scores: Tensor, clicked: Tensor, negative: Tensor) -> Tensor:
    """Softmax of each clicked candidate among a query's negatives.

    mean_q mean_{c clicked} -log(exp s_qc / (exp s_qc + sum_{n negative} exp s_qn)) of scores s
    (Q, C) with bool masks (Q, C), over the queries that have a clicked candidate; 0 without any.

    >>> scores = torch.tensor([[1.0, 1.0, 5.0]])
    >>> masks = torch.tensor([[True, False, False]]), torch.tensor([[False, True, False]])
    >>> round(clicked_softmax(scores, *masks).item(), 4)
    0.6931
    """
    scores = at_least_float32(scores)
    others = scores.masked_fill(~negative, -torch.inf).logsumexp(1, keepdim=True)  # (Q, 1)
    losses = (torch.logaddexp(scores, others) - scores).masked_fill(~clicked, 0).sum(1)
    counts = clicked.sum(1)
    return (losses / counts.clamp(min=1)).sum() / (counts > 0).sum().clamp(min=1)
