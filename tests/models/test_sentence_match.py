from dataclasses import replace

import pytest
import torch

from shopsight import losses
from shopsight.bench import reference_models
from shopsight.config import SentenceMatchConfig
from shopsight.models.sentence_match import SentenceMatch
from tinymodels import (
    ALL,
    ENCODER,
    QUERIES,
    WIDTH,
    WRONG,
    encode,
    make_regions,
    make_tokens,
    make_words,
    same,
    same_as_reference,
    same_value_and_gradients,
)  # fmt: skip

CONFIG = SentenceMatchConfig(dropout=0.0)


def make_model(**changes):
    return SentenceMatch(WIDTH, make_words(), ENCODER, replace(CONFIG, **changes)).double()


@pytest.mark.parametrize("hidden", [0, 4])
def test_scores_equal_the_reference(hidden):
    model = make_model(gru_hidden=hidden)
    ours = model.score_pairs(*encode(model), ALL, ALL)
    reference = reference_models.sentence_match(model, make_regions(), make_tokens())
    same_as_reference(model, ours, reference, least=35)


def test_the_loss_equals_the_reference():
    model, shift, regions = make_model(), torch.tensor([1, 2, 3, 4, 0]), make_regions()
    queries, products = encode(model, make_tokens(QUERIES + WRONG))
    clicked, wrong_query, wrong_product = model.score_pairs(
        queries, products, torch.cat([ALL, ALL + 5, ALL]), torch.cat([ALL, ALL, shift])
    ).split(5)
    ours = losses.binary_cross_entropy(clicked, wrong_query, wrong_product)
    reference = reference_models.sentence_match_loss(
        model, regions, regions.take(shift), make_tokens(), make_tokens(WRONG)
    )
    same_value_and_gradients(model, ours, reference, least=35)


def test_the_gru_starts_from_the_caption_head():
    model = make_model()
    _, products = encode(model)
    same(products.start, model.encoder(make_regions()).caption)
