import pytest
import torch

from shopsight import scoring
from tinymodels import same


def some(*shape):
    return torch.randn(
        shape, dtype=torch.float64, generator=torch.Generator().manual_seed(len(shape))
    )


def test_the_best_head_by_hand():
    words = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    heads = torch.tensor([[1.0, 1.0], [3.0, 0.0], [-1.0, -5.0]])
    assert scoring.max_sim(words, heads).tolist() == [3.0, 5.0]


def test_the_best_of_negative_heads_is_negative():
    words, heads = torch.tensor([[1.0]]), torch.tensor([[-3.0], [-2.0]])
    assert scoring.max_sim(words, heads).tolist() == [-2.0]


def test_the_best_heads_of_all_photos_are_those_of_each():
    words, heads = some(7, 4), some(5, 3, 4)
    each = [[max(float(w @ h) for h in photo) for photo in heads] for w in words]
    same(scoring.max_sim_matrix(words, heads), torch.tensor(each, dtype=torch.float64))
    pairs = scoring.max_sim(words.expand(5, 7, 4), heads).T
    same(scoring.max_sim_matrix(words, heads), pairs)


def test_weighted_words_by_hand():
    found = torch.tensor([[2.0, 4.0, 100.0]])
    logits = torch.tensor([[0.0, torch.tensor(3.0).log(), 50.0]])
    mask = torch.tensor([[True, True, False]])
    assert scoring.weighted_words(found, logits, mask).item() == pytest.approx(3.5)


def test_masked_words_count_for_nothing_whatever_they_hold():
    found, logits = some(4, 6), some(6, 4).T
    mask = torch.arange(6) < torch.tensor([[1], [3], [6], [2]])
    filled = found.masked_fill(~mask, torch.nan)
    same(
        scoring.weighted_words(filled, logits.masked_fill(~mask, torch.inf), mask),
        scoring.weighted_words(found, logits, mask),
    )
    short = scoring.weighted_words(found[3:, :2], logits[3:, :2], mask[3:, :2])
    same(scoring.weighted_words(found, logits, mask)[3:], short)


def test_mean_log_likelihood_by_hand():
    found = torch.tensor([[0.0, torch.tensor(3.0).log(), torch.nan]])
    mask = torch.tensor([[True, True, False]])
    expected = (torch.tensor(0.5).log() + torch.tensor(0.75).log()) / 2
    assert scoring.mean_log_likelihood(found, mask).item() == pytest.approx(expected.item())


def test_cosines_are_those_of_pytorch_and_not_of_length():
    left, right = some(6, 3), some(3, 6).T
    expected = torch.nn.functional.cosine_similarity(left, right)
    same(scoring.cosine(left, right), expected)
    same(scoring.cosine(7 * left, right / 3), expected)


def test_sums_are_float32_whatever_goes_in():
    words, heads = some(9, 512).bfloat16(), some(4, 512).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = scoring.max_sim(words, heads)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, (words.float() @ heads.float().T).amax(1))


def test_chunks_hold_queries_of_like_length_and_keep_the_order():
    calls = []

    def score(query, product, length):
        calls.append((query.tolist(), length))
        return query * 10.0 + product

    lengths, ids = torch.tensor([5, 1, 4, 1, 2]), torch.arange(5)
    assert scoring.in_chunks(score, ids, ids, lengths, size=2).tolist() == [0, 11, 22, 33, 44]
    assert calls == [([1, 3], 1), ([4, 2], 4), ([0], 5)]
    none = scoring.in_chunks(score, ids[:0], ids[:0], lengths, size=2)
    assert (none.shape, none.dtype) == ((0,), torch.float32)


def test_scores_pass_gradcheck():
    words, heads, logits = some(2, 3, 4), some(2, 2, 4, 1)[..., 0], some(2, 3)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    inputs = [one.clone().requires_grad_() for one in (words, heads, logits)]
    assert torch.autograd.gradcheck(
        lambda w, h, g: scoring.weighted_words(scoring.max_sim(w, h), g, mask), inputs
    )
