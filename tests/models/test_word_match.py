from dataclasses import replace

import pytest
import torch

from shopsight import losses
from shopsight.bench import reference_models as reference_models
from shopsight.config import WordMatchConfig
from shopsight.models.base import Encodings
from shopsight.models.pairwise import PairwiseLogits
from shopsight.models.word_match import WordMatch
from tinymodels import (
    ENCODER,
    WIDTH,
    WRONG,
    same,
    same_value_and_gradients,
    some_regions,
    some_tokens,
    some_words,
    widened,
)

CONFIG = WordMatchConfig(gru_hidden=4, match_hidden=5, dropout=0.0)
EVERY = torch.arange(5)


def made(**changes):
    return WordMatch(WIDTH, some_words(), ENCODER, replace(CONFIG, **changes)).double()


def codes(model, regions=None, tokens=None):
    regions, tokens = regions or some_regions(), tokens or some_tokens()
    return model.encode_queries(tokens), model.encode_products(regions)


@pytest.mark.parametrize("uniform", [False, True])
def test_split_and_encoded_once_is_unsplit_and_encoded_for_each_pair(uniform):
    model = made(uniform_weights=uniform)
    ours = model.score_pairs(*codes(model), EVERY, EVERY)
    plain = reference_models.word_match(model, some_regions(), some_tokens())
    same(ours, plain)
    scale = torch.linspace(-1, 2, 5, dtype=torch.float64)
    same_value_and_gradients(
        model, (ours * scale).sum(), (plain * scale).sum(), least=20 if uniform else 45
    )


@pytest.mark.parametrize("uniform", [False, True])
def test_the_matrix_is_that_of_all_pairs(uniform):
    model = made(uniform_weights=uniform)
    queries, products = codes(model)
    ours = model.score_matrix(queries, products)
    plain = reference_models.word_match_matrix(model, some_regions(), some_tokens())
    same(ours, plain)
    pairs = torch.cartesian_prod(EVERY, EVERY)
    same(model.score_pairs(queries, products, *pairs.T).view(5, 5), ours)
    scale = torch.randn(5, 5, dtype=torch.float64)
    same_value_and_gradients(
        model, (ours * scale).sum(), (plain * scale).sum(), least=20 if uniform else 45
    )


def test_the_whole_loss_is_the_plain_one():
    model, regions = made(), some_regions()
    others, shift = some_regions(), torch.tensor([1, 2, 3, 4, 0])
    tokens, wrong = some_tokens(), some_tokens(WRONG)
    queries, products = codes(model)
    matrix = model.score_matrix(queries, products)
    clicked = matrix.diagonal()
    bad = model.score_pairs(queries, products, EVERY, shift)
    mistaken = model.score_pairs(model.encode_queries(wrong), products, EVERY, EVERY)
    ours = losses.margin_ranking(clicked, bad, 0.9) + losses.margin_ranking(clicked, mistaken, 0.9)
    ours = ours + losses.max_hinge(matrix, torch.eye(5) > 0, 0.9)
    plain = reference_models.word_match_loss(model, regions, others.take(shift), tokens, wrong, 0.9)
    same_value_and_gradients(model, ours, plain, least=45)


def test_a_score_by_hand():
    model = made(uniform_weights=True)
    queries, products = codes(model)
    found = queries.words[0, :2] @ products.heads[3].T  # (2 words, 3 heads)
    same(model.score_pairs(queries, products, EVERY[:1], EVERY[3:4])[0], found.amax(1).mean())


def test_word_weights_add_up_to_one_over_real_words():
    model = made()
    weights = model.word_weights(*codes(model), EVERY, EVERY)
    same(weights.sum(1), torch.ones(5, dtype=torch.float64))
    assert (weights[~some_tokens().mask] == 0).all()
    assert (weights[some_tokens().mask] > 0).all()


def test_padding_changes_nothing():
    model = made()
    wide, narrow = (
        model.score_matrix(*codes(model, tokens=tokens))
        for tokens in (widened(some_tokens(), 3), some_tokens())
    )
    same(wide, narrow)
    same(
        model.score_pairs(*codes(model, tokens=widened(some_tokens(), 3)), EVERY, EVERY),
        model.score_pairs(*codes(model), EVERY, EVERY),
    )


def test_batch_size_changes_nothing():
    model, regions = made(), some_regions()
    parts = [model.encode_products(regions.take(part)) for part in EVERY.split(2)]
    whole = model.encode_products(regions)
    same(type(whole).join(parts).tensors(), whole.tensors())
    singles = [model.encode_queries(some_tokens([row])) for row in ([4, 5], [6], [7, 8, 9, 4])]
    joined = type(singles[0]).join(singles)
    expected = model.encode_queries(some_tokens([[4, 5], [6], [7, 8, 9, 4]]))
    same(joined.hidden, expected.hidden)
    assert torch.equal(joined.mask, expected.mask)
    same(
        model.score_matrix(joined, whole),
        model.score_matrix(expected, whole),
    )


def test_chunks_of_pairs_change_nothing(monkeypatch):
    model = made()
    pairs = torch.cartesian_prod(EVERY, EVERY).T
    whole = model.score_pairs(*codes(model), *pairs)
    monkeypatch.setattr("shopsight.models.word_match._PAIRS", 3)
    same(model.score_pairs(*codes(model), *pairs), whole)


def test_no_pairs_have_no_scores():
    model, none = made(), EVERY[:0]
    assert model.score_pairs(*codes(model), none, none).shape == (0,)


def test_codes_move_and_are_taken_together():
    model = made()
    queries, _ = codes(model)
    assert isinstance(queries, Encodings)
    assert len(queries) == 5
    assert queries.to("meta").words.device.type == "meta"
    same(queries.take(torch.tensor([4, 0])).words, queries.words[[4, 0]])


def test_scores_are_float32_in_bf16_and_nearly_the_same():
    model = made().float()
    regions = some_regions()
    regions = replace(regions, features=regions.features.float(), boxes=regions.boxes.float())
    exact = model.score_matrix(*codes(model, regions))
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.score_matrix(*codes(model, regions))
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_pairwise_logits_are_those_of_all_sums(rows, monkeypatch):
    monkeypatch.setattr("shopsight.models.pairwise._NUMBERS", rows * 4 * 5)  # rows at a time
    logits = PairwiseLogits(5).double()
    text = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    photo = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    ours = logits(text, photo)
    plain = logits.of_sums(text[:, None] + photo)
    same(ours, plain)
    scale = torch.randn_like(ours)
    wanted = [text, photo, *logits.parameters()]
    same(*(torch.autograd.grad((one * scale).sum(), wanted) for one in (ours, plain)))


def test_pairwise_logits_pass_gradcheck():
    logits = PairwiseLogits(3).double()
    text, photo = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (2, 4))
    assert torch.autograd.gradcheck(logits, (text, photo))
