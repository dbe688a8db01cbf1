from dataclasses import replace

import pytest
import torch

from shopsight import losses
from shopsight.bench import reference_models as reference_models
from shopsight.config import SentenceMatchConfig
from shopsight.models.sentence_match import SentenceMatch
from tinymodels import (
    ENCODER,
    QUERIES,
    WIDTH,
    WORD_WIDTH,
    WRONG,
    same,
    same_value_and_gradients,
    some_regions,
    some_tokens,
    some_words,
    widened,
)

CONFIG = SentenceMatchConfig(dropout=0.0)
EVERY = torch.arange(5)


def made(**changes):
    return SentenceMatch(WIDTH, some_words(), ENCODER, replace(CONFIG, **changes)).double()


def codes(model, tokens=None):
    return model.encode_queries(tokens or some_tokens()), model.encode_products(some_regions())


@pytest.mark.parametrize("hidden", [0, 4])
def test_words_once_per_query_is_words_for_each_pair(hidden):
    model = made(gru_hidden=hidden)
    ours = model.score_pairs(*codes(model), EVERY, EVERY)
    plain = reference_models.sentence_match(model, some_regions(), some_tokens())
    same(ours, plain)
    scale = torch.linspace(-1, 2, 5, dtype=torch.float64)
    same_value_and_gradients(model, (ours * scale).sum(), (plain * scale).sum(), least=35)


def test_the_whole_loss_is_the_plain_one():
    model, shift = made(), torch.tensor([1, 2, 3, 4, 0])
    tokens, wrong = some_tokens(), some_tokens(WRONG)
    _, products = codes(model)
    queries = model.encode_queries(some_tokens(QUERIES + WRONG))
    good, mistaken, bad = model.score_pairs(
        queries, products, torch.cat([EVERY, EVERY + 5, EVERY]), torch.cat([EVERY, EVERY, shift])
    ).split(5)
    plain = reference_models.sentence_match_loss(
        model, some_regions(), some_regions().take(shift), tokens, wrong
    )
    same_value_and_gradients(
        model, losses.binary_cross_entropy(good, mistaken, bad), plain, least=35
    )


def test_the_photo_is_where_the_gru_starts():
    model = made()
    queries, products = codes(model)
    same(products.start, model.encoder(some_regions()).caption)
    assert products.start.shape == (5, WORD_WIDTH)
    scores = model.score_pairs(queries, products, EVERY * 0, EVERY)
    assert len(scores.unique()) == 5


def test_padding_company_and_chunks_change_nothing(monkeypatch):
    model = made()
    pairs = torch.cartesian_prod(EVERY, EVERY).T
    whole = model.score_pairs(*codes(model), *pairs)
    same(model.score_pairs(*codes(model, widened(some_tokens(), 2)), *pairs), whole)
    turned = torch.randperm(25)
    same(model.score_pairs(*codes(model), *pairs[:, turned]), whole[turned])
    monkeypatch.setattr("shopsight.models.sentence_match._PAIRS", 4)
    same(model.score_pairs(*codes(model), *pairs), whole)
