import pytest
import torch

from shopsight import scoring
from tinymodels import same


def random(*shape):
    return torch.randn(
        shape, dtype=torch.float64, generator=torch.Generator().manual_seed(len(shape))
    )


def test_max_sim_by_hand():
    words = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    heads = torch.tensor([[1.0, 1.0], [3.0, 0.0], [-1.0, -5.0]])
    assert scoring.max_sim(words, heads).tolist() == [3.0, 5.0]


def test_max_sim_of_negative_similarities_is_negative():
    words, heads = torch.tensor([[1.0]]), torch.tensor([[-3.0], [-2.0]])
    assert scoring.max_sim(words, heads).tolist() == [-2.0]


def test_max_sim_matrix_equals_each_photo():
    words, heads = random(7, 4), random(5, 3, 4)
    each = [[max(float(w @ h) for h in photo) for photo in heads] for w in words]
    same(scoring.max_sim_matrix(words, heads), torch.tensor(each, dtype=torch.float64))
    pairs = scoring.max_sim(words.expand(5, 7, 4), heads).T
    same(scoring.max_sim_matrix(words, heads), pairs)


def test_weighted_sum_by_hand():
    similarities = torch.tensor([[2.0, 4.0, 100.0]])
    logits = torch.tensor([[0.0, torch.tensor(3.0).log(), 50.0]])
    mask = torch.tensor([[True, True, False]])
    assert scoring.weighted_sum(similarities, logits, mask).item() == pytest.approx(3.5)


def test_masked_tokens_do_not_count_even_if_nan():
    similarities, logits = random(4, 6), random(6, 4).T
    mask = torch.arange(6) < torch.tensor([[1], [3], [6], [2]])
    filled = similarities.masked_fill(~mask, torch.nan)
    same(
        scoring.weighted_sum(filled, logits.masked_fill(~mask, torch.inf), mask),
        scoring.weighted_sum(similarities, logits, mask),
    )
    short = scoring.weighted_sum(similarities[3:, :2], logits[3:, :2], mask[3:, :2])
    same(scoring.weighted_sum(similarities, logits, mask)[3:], short)


def test_mean_log_likelihood_by_hand():
    similarities = torch.tensor([[0.0, torch.tensor(3.0).log(), torch.nan]])
    mask = torch.tensor([[True, True, False]])
    expected = (torch.tensor(0.5).log() + torch.tensor(0.75).log()) / 2
    assert scoring.mean_log_likelihood(similarities, mask).item() == pytest.approx(expected.item())


def test_sums_are_float32_for_bf16_inputs():
    words, heads = random(9, 512).bfloat16(), random(4, 512).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        similarities = scoring.max_sim(words, heads)
    assert similarities.dtype == torch.float32
    torch.testing.assert_close(similarities, (words.float() @ heads.float().T).amax(1))


def test_chunks_hold_queries_of_similar_length_and_keep_the_order():
    calls = []

    def score(query, product, length):
        calls.append((query.tolist(), length))
        return query * 10.0 + product

    lengths, ids = torch.tensor([5, 1, 4, 1, 2]), torch.arange(5)
    assert scoring.score_in_chunks(score, ids, ids, lengths, size=2).tolist() == [0, 11, 22, 33, 44]
    assert calls == [([1, 3], 1), ([4, 2], 4), ([0], 5)]
    empty = scoring.score_in_chunks(score, ids[:0], ids[:0], lengths, size=2)
    assert (empty.shape, empty.dtype) == ((0,), torch.float32)


def test_scores_pass_gradcheck():
    words, heads, logits = random(2, 3, 4), random(2, 2, 4, 1)[..., 0], random(2, 3)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    inputs = [tensor.clone().requires_grad_() for tensor in (words, heads, logits)]
    assert torch.autograd.gradcheck(
        lambda w, h, g: scoring.weighted_sum(scoring.max_sim(w, h), g, mask), inputs
    )
