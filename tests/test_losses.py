import math

import pytest
import torch

from shopsight import losses
from tinymodels import same

NONE = torch.zeros(3, 3, dtype=torch.bool)
SCORES = torch.tensor([[1.0, 0.7, -2.0], [0.0, 0.5, 0.4], [0.9, -1.0, 2.0]], dtype=torch.float64)


def random(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7))


def softplus(x):
    return math.log1p(math.exp(x))


def test_bce_with_hard_negatives_by_hand():
    logits = torch.tensor([[2.0, -1.0, 0.5, 3.0], [0.0, 0.0, 0.0, -4.0]])
    labels = torch.tensor([[True, False, False, False], [False, False, True, True]])
    first = softplus(-2) + softplus(3) + softplus(0.5)
    second = softplus(0) + softplus(4) + 2 * softplus(0)
    assert losses.bce_with_hard_negatives(logits, labels, 2).item() == pytest.approx(
        (first + second) / 2
    )


@pytest.mark.parametrize("hardest", [1, 4, 9, 10, 99])
def test_bce_with_hard_negatives_equals_selecting_by_loss(hardest):
    logits = random(5, 10).requires_grad_()
    labels = torch.rand(5, 10, generator=torch.Generator().manual_seed(1)) < 0.3
    each = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, labels.double(), reduction="none"
    )
    negatives = each.masked_fill(labels, 0).topk(min(hardest, 10), 1).values
    naive = ((each * labels).sum() + negatives.sum()) / 5
    ours = losses.bce_with_hard_negatives(logits, labels, hardest)
    same(ours, naive)
    same(*(torch.autograd.grad(loss, logits)[0] for loss in (ours, naive)))


def test_rows_without_labels_or_negatives_have_finite_gradients():
    logits = random(2, 3).requires_grad_()
    labels = torch.tensor([[False] * 3, [True] * 3])
    loss = losses.bce_with_hard_negatives(logits, labels, 2)
    assert torch.autograd.grad(loss, logits)[0].isfinite().all()
    assert loss.isfinite()


def test_very_large_logits_do_not_overflow():
    logits, labels = torch.tensor([[-1e4, 1e4]]), torch.tensor([[True, False]])
    assert losses.bce_with_hard_negatives(logits, labels, 1).item() == pytest.approx(2e4)


def test_caption_cross_entropy_sums_tokens_and_averages_captions():
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0], [5.0, 5.0]])
    loss = losses.caption_cross_entropy(logits, torch.tensor([1, 0, -1]), rows=2)
    assert loss.item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)


def test_margin_ranking_equals_that_of_pytorch():
    positive, negative = random(6), random(6).flip(0)
    expected = torch.nn.functional.margin_ranking_loss(
        positive, negative, torch.ones(6), margin=0.9
    )
    same(losses.margin_ranking(positive, negative, 0.9), expected)


def test_max_hinge_by_hand():
    over_products = ((0.5 + 0.7 - 1.0) + (0.5 + 0.4 - 0.5) + 0.0) / 3
    over_queries = ((0.5 + 0.9 - 1.0) + (0.5 + 0.7 - 0.5) + 0.0) / 3
    loss = losses.max_hinge(SCORES, NONE, 0.5)
    assert loss.item() == pytest.approx(over_products + over_queries)


def test_max_hinge_ignores_positives():
    positive = NONE.clone()
    positive[0, 1] = True
    over_products = (0.0 + (0.5 + 0.4 - 0.5) + 0.0) / 3
    over_queries = ((0.5 + 0.9 - 1.0) + 0.0 + 0.0) / 3
    loss = losses.max_hinge(SCORES, positive, 0.5)
    assert loss.item() == pytest.approx(over_products + over_queries)


def test_max_hinge_of_positives_only_is_zero():
    scores = SCORES.clone().requires_grad_()
    loss = losses.max_hinge(scores, ~NONE, 0.9)
    assert loss.item() == 0
    assert (torch.autograd.grad(loss, scores)[0] == 0).all()


def test_binary_cross_entropy_equals_that_of_pytorch():
    positive, negative, more = random(4), random(3), random(2)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.cat([positive, negative, more]),
        torch.tensor([1.0] * 4 + [0.0] * 5, dtype=torch.float64),
    )
    same(losses.binary_cross_entropy(positive, negative, more), expected)


def naive_info_nce(scores, product_idx, positive, scale, margin):
    """Both directions, row by row."""
    total = 0.0
    for i, p in enumerate(product_idx.tolist()):
        clicked = scale * (scores[i, p] - margin)
        row = [scale * scores[i, u] for u in range(scores.shape[1]) if not positive[i, u]]
        column = [scale * scores[q, p] for q in range(len(scores)) if not positive[q, p]]
        for others in (row, column):
            total = total + torch.stack([clicked, *others]).logsumexp(0) - clicked
    return total / (2 * len(product_idx))


@pytest.mark.parametrize("extra", [0, 2])
def test_info_nce_equals_a_loop_over_rows(extra):
    scores = random(4 + extra, 5).requires_grad_()
    product_idx = torch.tensor([2, 0, 4, 2])  # product 2 was clicked for two queries
    positive = torch.zeros(4 + extra, 5, dtype=torch.bool)
    positive[torch.arange(4), product_idx] = True
    positive[1, 3] = True
    ours = losses.info_nce(scores, product_idx, positive, 14.0, 0.05)
    naive = naive_info_nce(scores, product_idx, positive, 14.0, 0.05)
    same(ours, naive)
    same(*(torch.autograd.grad(loss, scores)[0] for loss in (ours, naive)))


def test_info_nce_of_a_diagonal_is_the_clip_loss():
    rows = torch.arange(3)
    ours = losses.info_nce(SCORES, rows, torch.eye(3) > 0, 3.0)
    sides = [torch.nn.functional.cross_entropy(3 * logits, rows) for logits in (SCORES, SCORES.T)]
    same(ours, sum(sides) / 2)


def test_a_learned_scale_has_a_gradient():
    scale = torch.tensor(5.0, dtype=torch.float64, requires_grad=True)
    loss = losses.info_nce(SCORES, torch.arange(3), torch.eye(3) > 0, scale, 0.1)
    assert torch.autograd.grad(loss, scale)[0].abs() > 0


def test_losses_of_bf16_scores_are_float32():
    scores = SCORES.bfloat16()
    assert losses.info_nce(scores, torch.arange(3), NONE, 3.0).dtype == torch.float32
    assert losses.bce_with_hard_negatives(scores, NONE, 2).dtype == torch.float32
    assert losses.caption_cross_entropy(scores, torch.tensor([0, 1, 2]), 3).dtype == torch.float32


TEACHER = torch.tensor([[1.0, 0.0, -1.0, 7.0], [0.5, 2.0, 0.0, 0.0]], dtype=torch.float64)
REAL = torch.tensor([[True, True, True, False], [True, True, False, False]])


def naive_kl(scores, teacher, mask):
    """Candidate by candidate, with Python's logarithms."""
    total = 0.0
    for ours, theirs, real in zip(scores.tolist(), teacher.tolist(), mask.tolist(), strict=True):
        p, q = (
            [math.exp(x) for x, keep in zip(row, real, strict=True) if keep]
            for row in (theirs, ours)
        )
        total += sum(
            a / sum(p) * math.log(a / sum(p) * sum(q) / b) for a, b in zip(p, q, strict=True)
        )
    return total / len(scores)


def test_listwise_kl_by_hand_and_its_gradient():
    scores = torch.tensor([[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]], dtype=torch.float64)
    scores.requires_grad_()
    loss = losses.listwise_kl(scores, TEACHER, REAL)
    assert loss.item() == pytest.approx(naive_kl(scores, TEACHER, REAL), abs=1e-12)
    loss.backward()
    same(scores.grad[~REAL], torch.zeros(3, dtype=torch.float64))
    # d KL / d s = softmax(s) - softmax(t), a mean over the queries
    expected = scores.detach()[0, :3].softmax(0) - TEACHER[0, :3].softmax(0)
    same(scores.grad[0, :3], expected / 2)
    assert torch.autograd.gradcheck(lambda x: losses.listwise_kl(x, TEACHER, REAL), scores)


def test_listwise_kl_ignores_padding_and_constants():
    scores = torch.randn(2, 4, dtype=torch.float64)
    loss = losses.listwise_kl(scores, TEACHER, REAL)
    same(losses.listwise_kl(scores + 5, TEACHER - 3, REAL), loss)
    padded = scores.masked_fill(~REAL, 1e6)
    same(losses.listwise_kl(padded, TEACHER.masked_fill(~REAL, -1e6), REAL), loss)
    same(losses.listwise_kl(TEACHER, TEACHER, REAL), torch.zeros((), dtype=torch.float64))


def test_clicked_softmax_by_hand():
    scores = torch.tensor([[2.0, 1.0, 0.0, 9.0], [1.0, 1.0, 1.0, 1.0]], dtype=torch.float64)
    clicked = torch.tensor([[True, True, False, False], [False] * 4])
    negative = torch.tensor([[False, False, True, False], [True] * 4])
    # Against the only negative, 0; the last candidate is neither, and the second query has none.
    expected = (softplus(-2.0) + softplus(-1.0)) / 2
    scores.requires_grad_()
    loss = losses.clicked_softmax(scores, clicked, negative)
    assert loss.item() == pytest.approx(expected)
    loss.backward()
    assert scores.grad.isfinite().all()
    assert scores.grad[1].tolist() == [0.0] * 4
    assert scores.grad[0, 3].item() == 0
    assert losses.clicked_softmax(scores, ~negative & False, negative).item() == 0


def test_clicked_softmax_without_negatives_is_zero():
    scores = torch.randn(2, 3, requires_grad=True)
    everything = torch.ones(2, 3, dtype=torch.bool)
    loss = losses.clicked_softmax(scores, everything, ~everything)
    loss.backward()
    assert loss.item() == 0
    assert (scores.grad == 0).all()
