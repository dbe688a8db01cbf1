from dataclasses import replace

import pytest
import torch

import tinymodels as tiny
from models.test_cross import make_model as make_cross
from shopsight.config import DualConfig, SentenceMatchConfig, WordMatchConfig
from shopsight.models.dual import Dual
from shopsight.models.label_match import LabelMatch
from shopsight.models.sentence_match import SentenceMatch
from shopsight.models.word_match import WordMatch
from tinymodels import ALL, same

WORD = WordMatchConfig(gru_hidden=4, match_hidden=5, dropout=0.0)
DUAL = DualConfig(width=8, out=5, heads=2, dropout=0.0, word_dropout=0.0)
MODELS = {
    "label-match": lambda: LabelMatch(
        tiny.WIDTH, tiny.words(), tiny.ENCODER, torch.arange(tiny.VOCABULARY), tiny.SPECIAL
    ),
    "word-match": lambda: WordMatch(tiny.WIDTH, tiny.words(), tiny.ENCODER, WORD),
    "sentence-match": lambda: SentenceMatch(
        tiny.WIDTH, tiny.words(), tiny.ENCODER, SentenceMatchConfig(dropout=0.0)
    ),
    "cross": lambda: make_cross(),
    "dual": lambda: Dual(tiny.WIDTH, tiny.VOCABULARY, DUAL, tiny.SPECIAL.unk),
}
PAIRS = torch.cartesian_prod(ALL, ALL).T


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]().double()


def test_scores_do_not_depend_on_padding_order_and_chunks(model, monkeypatch):
    scores = model.score_pairs(*tiny.encode(model), *PAIRS)
    assert len(scores.unique()) == 25
    same(model.score_pairs(*tiny.encode(model, tiny.widened(tiny.tokens(), 3)), *PAIRS), scores)
    shuffled = torch.randperm(25)
    same(model.score_pairs(*tiny.encode(model), *PAIRS[:, shuffled]), scores[shuffled])
    monkeypatch.setattr(type(model), "pairs_per_chunk", 3)
    same(model.score_pairs(*tiny.encode(model), *PAIRS), scores)


def test_no_pairs_have_no_scores(model):
    assert model.score_pairs(*tiny.encode(model), ALL[:0], ALL[:0]).shape == (0,)


def test_joined_parts_equal_the_whole(model):
    queries, products = tiny.encode(model)
    parts = [model.encode_products(tiny.regions().take(part)) for part in ALL.split(2)]
    joined = type(products).join(parts)
    same(joined.tensors(), products.tensors())
    singles = type(queries).join([model.encode_queries(tiny.tokens([row])) for row in tiny.QUERIES])
    scores = model.score_pairs(queries, products, *PAIRS)
    same(model.score_pairs(singles, joined, *PAIRS), scores)


def test_encodings_move_and_are_indexed_with_all_tensors(model):
    queries, _ = tiny.encode(model)
    assert len(queries) == 5
    assert {tensor.device.type for tensor in queries.to("meta").tensors().values()} == {"meta"}
    taken = queries.take(torch.tensor([4, 0])).tensors()
    same(taken, {name: tensor[[4, 0]] for name, tensor in queries.tensors().items()})


def test_scores_in_bf16_are_float32_and_close(model):
    model, regions = model.float(), tiny.regions()
    regions = replace(regions, features=regions.features.float(), boxes=regions.boxes.float())
    exact = model.score_pairs(*tiny.encode(model, products=regions), *PAIRS)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.score_pairs(*tiny.encode(model, products=regions), *PAIRS)
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().max() < 0.05 * exact.abs().max()
