import sys
from dataclasses import replace

import pytest
import torch

from shopsight.config import DualConfig, SentenceMatchConfig, WordMatchConfig
from shopsight.models.dual import Dual
from shopsight.models.label_match import LabelMatch
from shopsight.models.sentence_match import SentenceMatch
from shopsight.models.word_match import WordMatch
from tinymodels import (
    ALL,
    ENCODER,
    QUERIES,
    SPECIAL,
    VOCABULARY,
    WIDTH,
    encode,
    make_regions,
    make_tokens,
    make_words,
    same,
    widened,
)  # fmt: skip

WORD = WordMatchConfig(gru_hidden=4, match_hidden=5, dropout=0.0)
DUAL = DualConfig(width=8, out=5, heads=2, dropout=0.0, word_dropout=0.0)
MODELS = {
    "label-match": lambda: LabelMatch(
        WIDTH, make_words(), ENCODER, torch.arange(VOCABULARY), SPECIAL
    ),
    "word-match": lambda: WordMatch(WIDTH, make_words(), ENCODER, WORD),
    "sentence-match": lambda: SentenceMatch(
        WIDTH, make_words(), ENCODER, SentenceMatchConfig(dropout=0.0)
    ),
    "dual": lambda: Dual(WIDTH, VOCABULARY, DUAL, SPECIAL.unk),
}
PAIRS = torch.cartesian_prod(ALL, ALL).T


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]().double()


def test_scores_do_not_depend_on_padding_order_and_chunks(model, monkeypatch):
    scores = model.score_pairs(*encode(model), *PAIRS)
    assert len(scores.unique()) == 25
    same(model.score_pairs(*encode(model, widened(make_tokens(), 3)), *PAIRS), scores)
    shuffled = torch.randperm(25)
    same(model.score_pairs(*encode(model), *PAIRS[:, shuffled]), scores[shuffled])
    monkeypatch.setattr(sys.modules[type(model).__module__], "_PAIRS", 3)
    same(model.score_pairs(*encode(model), *PAIRS), scores)


def test_no_pairs_have_no_scores(model):
    assert model.score_pairs(*encode(model), ALL[:0], ALL[:0]).shape == (0,)


def test_joined_parts_equal_the_whole(model):
    queries, products = encode(model)
    parts = [model.encode_products(make_regions().take(part)) for part in ALL.split(2)]
    joined = type(products).join(parts)
    same(joined.tensors(), products.tensors())
    singles = type(queries).join([model.encode_queries(make_tokens([row])) for row in QUERIES])
    scores = model.score_pairs(queries, products, *PAIRS)
    same(model.score_pairs(singles, joined, *PAIRS), scores)


def test_encodings_move_and_are_indexed_with_all_tensors(model):
    queries, _ = encode(model)
    assert len(queries) == 5
    assert {tensor.device.type for tensor in queries.to("meta").tensors().values()} == {"meta"}
    taken = queries.take(torch.tensor([4, 0])).tensors()
    same(taken, {name: tensor[[4, 0]] for name, tensor in queries.tensors().items()})


def test_scores_in_bf16_are_float32_and_close(model):
    model, regions = model.float(), make_regions()
    regions = replace(regions, features=regions.features.float(), boxes=regions.boxes.float())
    exact = model.score_pairs(*encode(model, regions=regions), *PAIRS)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.score_pairs(*encode(model, regions=regions), *PAIRS)
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().max() < 0.05 * exact.abs().max()
