from dataclasses import replace

import pytest
import torch

import tinymodels as tiny
from shopsight import losses
from shopsight.bench import reference_models
from shopsight.config import SentenceMatchConfig
from shopsight.models.sentence_match import SentenceMatch
from tinymodels import ALL, same

CONFIG = SentenceMatchConfig(dropout=0.0)


def make_model(**changes):
    return SentenceMatch(
        tiny.WIDTH, tiny.words(), tiny.ENCODER, replace(CONFIG, **changes)
    ).double()


@pytest.mark.parametrize("hidden", [0, 4])
def test_scores_equal_the_reference(hidden):
    model = make_model(gru_hidden=hidden)
    ours = model.score_pairs(*tiny.encode(model), ALL, ALL)
    reference = reference_models.sentence_match(model, tiny.regions(), tiny.tokens())
    tiny.same_as_reference(model, ours, reference, least=35)


def test_the_loss_equals_the_reference():
    model, batch = make_model(), tiny.batch()
    queries, products = tiny.encode(model, tiny.tokens(tiny.QUERIES + tiny.WRONG))
    product_idx = torch.cat([ALL, ALL, batch.negative_product_idx])
    scores = model.score_pairs(queries, products, torch.cat([ALL, ALL + 5, ALL]), product_idx)
    ours = losses.binary_cross_entropy(*scores.split(5))
    reference = reference_models.sentence_match_loss(model, batch)
    tiny.same_value_and_gradients(model, ours, reference, least=35)


def test_the_gru_starts_from_the_caption_head():
    model = make_model()
    _, products = tiny.encode(model)
    same(products.start, model.encoder(tiny.regions()).caption)
