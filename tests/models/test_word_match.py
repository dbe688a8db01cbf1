from dataclasses import replace

import pytest
import torch

import tinymodels as tiny
from shopsight import losses
from shopsight.bench import reference_models
from shopsight.config import WordMatchConfig
from shopsight.models.word_match import WordMatch
from tinymodels import ALL, same

CONFIG = WordMatchConfig(gru_hidden=4, match_hidden=5, dropout=0.0)


def make_model(**changes):
    return WordMatch(tiny.WIDTH, tiny.words(), tiny.ENCODER, replace(CONFIG, **changes)).double()


@pytest.mark.parametrize(("uniform", "parameters"), [(False, 45), (True, 20)])
def test_scores_equal_the_unsplit_reference(uniform, parameters):
    model = make_model(uniform_weights=uniform)
    ours = model.score_pairs(*tiny.encode(model), ALL, ALL)
    reference = reference_models.word_match(model, tiny.regions(), tiny.tokens())
    tiny.same_as_reference(model, ours, reference, parameters)


@pytest.mark.parametrize(("uniform", "parameters"), [(False, 45), (True, 20)])
def test_the_matrix_equals_all_pairs(uniform, parameters):
    model = make_model(uniform_weights=uniform)
    ours = model.score_matrix(*tiny.encode(model))
    reference = reference_models.word_match_matrix(model, tiny.regions(), tiny.tokens())
    tiny.same_as_reference(model, ours, reference, parameters)
    pairs = torch.cartesian_prod(ALL, ALL).T
    same(model.score_pairs(*tiny.encode(model), *pairs).view(5, 5), ours)
    same(model.score_matrix(*tiny.encode(model, tiny.widened(tiny.tokens(), 3))), ours)


def test_the_loss_equals_the_reference():
    model, batch = make_model(), tiny.batch()
    queries, products = tiny.encode(model)
    matrix = model.score_matrix(queries, products)
    clicked = matrix.diagonal()
    wrong_product = model.score_pairs(queries, products, ALL, batch.negative_product_idx)
    negative_queries = model.encode_queries(batch.negative_queries)
    wrong_query = model.score_pairs(negative_queries, products, ALL, ALL)
    ours = losses.margin_ranking(clicked, wrong_product, 0.9)
    ours = ours + losses.margin_ranking(clicked, wrong_query, 0.9)
    ours = ours + losses.max_hinge(matrix, torch.eye(5) > 0, 0.9)
    reference = reference_models.word_match_loss(model, batch, 0.9)
    tiny.same_value_and_gradients(model, ours, reference, least=45)


def test_a_score_by_hand():
    model = make_model(uniform_weights=True)
    queries, products = tiny.encode(model)
    similarities = queries.words[0, :2] @ products.heads[3].T  # (2 words, 3 heads)
    same(model.score_pairs(queries, products, ALL[:1], ALL[3:4])[0], similarities.amax(1).mean())


def test_word_weights_sum_to_one_over_real_words():
    model = make_model()
    queries, products = tiny.encode(model)
    for query, mask in zip(ALL[:, None], tiny.tokens().mask, strict=True):
        weights = model.attribute(queries.take(query), products).weights
        same(weights.sum(1), torch.ones(5, dtype=torch.float64))
        assert (weights[:, ~mask] == 0).all()
        assert (weights[:, mask] > 0).all()
