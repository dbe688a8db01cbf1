from dataclasses import replace

import pytest
import torch

from shopsight import losses
from shopsight.bench import reference_models
from shopsight.config import WordMatchConfig
from shopsight.models.base import Encodings
from shopsight.models.pairwise import PairwiseLogits
from shopsight.models.word_match import WordMatch
from tinymodels import (
    ENCODER,
    WIDTH,
    WRONG,
    make_regions,
    make_tokens,
    make_words,
    same,
    same_value_and_gradients,
    widened,
)

CONFIG = WordMatchConfig(gru_hidden=4, match_hidden=5, dropout=0.0)
ALL = torch.arange(5)


def make_model(**changes):
    return WordMatch(WIDTH, make_words(), ENCODER, replace(CONFIG, **changes)).double()


def encode(model, regions=None, tokens=None):
    regions, tokens = regions or make_regions(), tokens or make_tokens()
    return model.encode_queries(tokens), model.encode_products(regions)


@pytest.mark.parametrize("uniform", [False, True])
def test_split_layers_equal_the_unsplit_reference(uniform):
    model = make_model(uniform_weights=uniform)
    ours = model.score_pairs(*encode(model), ALL, ALL)
    reference = reference_models.word_match(model, make_regions(), make_tokens())
    same(ours, reference)
    scale = torch.linspace(-1, 2, 5, dtype=torch.float64)
    same_value_and_gradients(
        model, (ours * scale).sum(), (reference * scale).sum(), least=20 if uniform else 45
    )


@pytest.mark.parametrize("uniform", [False, True])
def test_the_matrix_equals_all_pairs(uniform):
    model = make_model(uniform_weights=uniform)
    queries, products = encode(model)
    ours = model.score_matrix(queries, products)
    reference = reference_models.word_match_matrix(model, make_regions(), make_tokens())
    same(ours, reference)
    pairs = torch.cartesian_prod(ALL, ALL)
    same(model.score_pairs(queries, products, *pairs.T).view(5, 5), ours)
    scale = torch.randn(5, 5, dtype=torch.float64)
    same_value_and_gradients(
        model, (ours * scale).sum(), (reference * scale).sum(), least=20 if uniform else 45
    )


def test_the_loss_equals_the_reference():
    model, regions = make_model(), make_regions()
    others, shift = make_regions(), torch.tensor([1, 2, 3, 4, 0])
    tokens, wrong = make_tokens(), make_tokens(WRONG)
    queries, products = encode(model)
    matrix = model.score_matrix(queries, products)
    clicked = matrix.diagonal()
    bad = model.score_pairs(queries, products, ALL, shift)
    mistaken = model.score_pairs(model.encode_queries(wrong), products, ALL, ALL)
    ours = losses.margin_ranking(clicked, bad, 0.9) + losses.margin_ranking(clicked, mistaken, 0.9)
    ours = ours + losses.max_hinge(matrix, torch.eye(5) > 0, 0.9)
    reference = reference_models.word_match_loss(
        model, regions, others.take(shift), tokens, wrong, 0.9
    )
    same_value_and_gradients(model, ours, reference, least=45)


def test_a_score_by_hand():
    model = make_model(uniform_weights=True)
    queries, products = encode(model)
    similarities = queries.words[0, :2] @ products.heads[3].T  # (2 words, 3 heads)
    same(model.score_pairs(queries, products, ALL[:1], ALL[3:4])[0], similarities.amax(1).mean())


def test_word_weights_sum_to_one_over_real_words():
    model = make_model()
    weights = model.word_weights(*encode(model), ALL, ALL)
    same(weights.sum(1), torch.ones(5, dtype=torch.float64))
    assert (weights[~make_tokens().mask] == 0).all()
    assert (weights[make_tokens().mask] > 0).all()


def test_padding_changes_nothing():
    model = make_model()
    wide, narrow = (
        model.score_matrix(*encode(model, tokens=tokens))
        for tokens in (widened(make_tokens(), 3), make_tokens())
    )
    same(wide, narrow)
    same(
        model.score_pairs(*encode(model, tokens=widened(make_tokens(), 3)), ALL, ALL),
        model.score_pairs(*encode(model), ALL, ALL),
    )


def test_joined_parts_equal_the_whole():
    model, regions = make_model(), make_regions()
    parts = [model.encode_products(regions.take(part)) for part in ALL.split(2)]
    whole = model.encode_products(regions)
    same(type(whole).join(parts).tensors(), whole.tensors())
    singles = [model.encode_queries(make_tokens([row])) for row in ([4, 5], [6], [7, 8, 9, 4])]
    joined = type(singles[0]).join(singles)
    expected = model.encode_queries(make_tokens([[4, 5], [6], [7, 8, 9, 4]]))
    same(joined.hidden, expected.hidden)
    assert torch.equal(joined.mask, expected.mask)
    same(
        model.score_matrix(joined, whole),
        model.score_matrix(expected, whole),
    )


def test_chunks_of_pairs_change_nothing(monkeypatch):
    model = make_model()
    pairs = torch.cartesian_prod(ALL, ALL).T
    whole = model.score_pairs(*encode(model), *pairs)
    monkeypatch.setattr("shopsight.models.word_match._PAIRS", 3)
    same(model.score_pairs(*encode(model), *pairs), whole)


def test_no_pairs_have_no_scores():
    model, none = make_model(), ALL[:0]
    assert model.score_pairs(*encode(model), none, none).shape == (0,)


def test_encodings_move_and_are_indexed_with_all_tensors():
    model = make_model()
    queries, _ = encode(model)
    assert isinstance(queries, Encodings)
    assert len(queries) == 5
    assert queries.to("meta").words.device.type == "meta"
    same(queries.take(torch.tensor([4, 0])).words, queries.words[[4, 0]])


def test_scores_in_bf16_are_float32_and_close():
    model = make_model().float()
    regions = make_regions()
    regions = replace(regions, features=regions.features.float(), boxes=regions.boxes.float())
    exact = model.score_matrix(*encode(model, regions))
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.score_matrix(*encode(model, regions))
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_pairwise_logits_equal_those_of_all_sums(rows, monkeypatch):
    monkeypatch.setattr("shopsight.models.pairwise._BLOCK_NUMBERS", rows * 4 * 5)  # rows at a time
    logits = PairwiseLogits(5).double()
    text = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    photo = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    ours = logits(text, photo)
    reference = logits.of_sums(text[:, None] + photo)
    same(ours, reference)
    scale = torch.randn_like(ours)
    inputs = [text, photo, *logits.parameters()]
    same(*(torch.autograd.grad((logits * scale).sum(), inputs) for logits in (ours, reference)))


def test_pairwise_logits_pass_gradcheck():
    logits = PairwiseLogits(3).double()
    text, photo = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (2, 4))
    assert torch.autograd.gradcheck(logits, (text, photo))
