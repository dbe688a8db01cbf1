from dataclasses import replace

import pytest
import torch

from shopsight import losses
from shopsight.bench import reference_models
from shopsight.config import SentenceMatchConfig
from shopsight.models.sentence_match import SentenceMatch
from tinymodels import (
    ENCODER,
    QUERIES,
    WIDTH,
    WORD_WIDTH,
    WRONG,
    make_regions,
    make_tokens,
    make_words,
    same,
    same_value_and_gradients,
    widened,
)

CONFIG = SentenceMatchConfig(dropout=0.0)
ALL = torch.arange(5)


def make_model(**changes):
    return SentenceMatch(WIDTH, make_words(), ENCODER, replace(CONFIG, **changes)).double()


def encode(model, tokens=None):
    return model.encode_queries(tokens or make_tokens()), model.encode_products(make_regions())


@pytest.mark.parametrize("hidden", [0, 4])
def test_projecting_words_once_equals_the_reference(hidden):
    model = make_model(gru_hidden=hidden)
    ours = model.score_pairs(*encode(model), ALL, ALL)
    reference = reference_models.sentence_match(model, make_regions(), make_tokens())
    same(ours, reference)
    scale = torch.linspace(-1, 2, 5, dtype=torch.float64)
    same_value_and_gradients(model, (ours * scale).sum(), (reference * scale).sum(), least=35)


def test_the_loss_equals_the_reference():
    model, shift = make_model(), torch.tensor([1, 2, 3, 4, 0])
    tokens, wrong = make_tokens(), make_tokens(WRONG)
    _, products = encode(model)
    queries = model.encode_queries(make_tokens(QUERIES + WRONG))
    clicked, wrong_query, wrong_product = model.score_pairs(
        queries, products, torch.cat([ALL, ALL + 5, ALL]), torch.cat([ALL, ALL, shift])
    ).split(5)
    reference = reference_models.sentence_match_loss(
        model, make_regions(), make_regions().take(shift), tokens, wrong
    )
    same_value_and_gradients(
        model, losses.binary_cross_entropy(clicked, wrong_query, wrong_product), reference, least=35
    )


def test_the_gru_starts_from_the_caption_head():
    model = make_model()
    queries, products = encode(model)
    same(products.start, model.encoder(make_regions()).caption)
    assert products.start.shape == (5, WORD_WIDTH)
    scores = model.score_pairs(queries, products, ALL * 0, ALL)
    assert len(scores.unique()) == 5


def test_scores_do_not_depend_on_padding_order_and_chunks(monkeypatch):
    model = make_model()
    pairs = torch.cartesian_prod(ALL, ALL).T
    whole = model.score_pairs(*encode(model), *pairs)
    same(model.score_pairs(*encode(model, widened(make_tokens(), 2)), *pairs), whole)
    shuffled = torch.randperm(25)
    same(model.score_pairs(*encode(model), *pairs[:, shuffled]), whole[shuffled])
    monkeypatch.setattr("shopsight.models.sentence_match._PAIRS", 4)
    same(model.score_pairs(*encode(model), *pairs), whole)
