from dataclasses import replace

import pytest
import torch

import tinymodels as tiny
from shopsight.config import DualConfig
from shopsight.errors import UsageError
from shopsight.models.dual import Dual
from tinymodels import ALL, same

CONFIG = DualConfig(width=8, out=5, heads=2, dropout=0.0, word_dropout=0.0)
KINDS = [
    {},
    {"text": "gru", "text_layers": 0},
    {"text": "bag", "positions": False},
    {"direct": True, "image_layers": 1, "boxes": False},
    {"mean_region": False, "image_pool": "attention", "text_pool": "max"},
    {"image_pool": "first", "text_pool": "first"},
    {"image_pool": "max", "text_pool": "mean", "text_layers": 1},
    {"vectors": "shared"},
    {"towers": 3, "vectors": "shared"},
]


def make_model(counts=None, **changes):
    config = replace(CONFIG, **changes)
    return Dual(
        tiny.WIDTH, tiny.VOCABULARY, config, tiny.SPECIAL.unk, counts, tiny.words()
    ).double()


@pytest.mark.parametrize("changes", KINDS)
def test_encodings_do_not_depend_on_batch_padding_and_order(changes):
    model = make_model(**changes)
    queries, products = tiny.encode(model)
    assert queries.vectors.shape == products.vectors.shape == (5, 5 * changes.get("towers", 1))
    alone = [model.encode_products(tiny.regions().take(idx[None])).vectors for idx in ALL]
    same(torch.cat(alone), products.vectors)
    same(tiny.encode(model, tiny.widened(tiny.tokens(), 3))[0].vectors, queries.vectors)
    order = torch.tensor([4, 1, 0, 3, 2, 2, 0, 4])
    same(model.encode_products(tiny.regions().take(order)).vectors, products.vectors[order])


@pytest.mark.parametrize("changes", KINDS)
def test_all_trainable_parameters_have_a_gradient(changes):
    model = make_model(**changes)
    for parameter in model.parameters():
        if parameter.dim() < 2 and parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    scores = model.score_matrix(*tiny.encode(model))
    (scores * torch.randn_like(scores)).sum().backward()
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    assert sum(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.parameters()) >= 8


def test_scores_are_cosines():
    model = make_model()
    queries, products = tiny.encode(model)
    same(queries.vectors.norm(dim=1), torch.ones(5, dtype=torch.float64))
    matrix = model.score_matrix(queries, products)
    assert matrix.abs().max() <= 1 + 1e-9
    pairs = torch.cartesian_prod(ALL, ALL).T
    same(model.score_pairs(queries, products, *pairs).view(5, 5), matrix)


def test_word_order_matters_with_positions_or_a_gru():
    forward, backward = tiny.tokens([[4, 5, 6]]), tiny.tokens([[6, 5, 4]])
    for changes, differs in [({}, True), ({"positions": False}, False), ({"text": "gru"}, True)]:
        model = make_model(**changes)
        left, right = (model.encode_queries(tokens).vectors for tokens in (forward, backward))
        assert torch.allclose(left, right) is not differs


def test_the_mean_region_comes_first():
    model = make_model(image_layers=0, image_pool="first", boxes=False)
    tower, regions = model.towers[0].image, tiny.regions()
    rows = tower.input_proj(tower.features(regions.features))
    means = torch.stack([part.mean(0) for part in rows.split(regions.lengths.tolist())])
    expected = tower.output_proj.out(tower.output_proj.norm(means + tower.mean_region))
    same(tower(regions), expected)


def test_rare_words_are_unknown():
    counts = torch.full((tiny.VOCABULARY,), 5)
    counts[7] = 1
    model = make_model(counts, min_count=2)
    left, right = (
        model.encode_queries(tiny.tokens([[4, i]])).vectors for i in (7, tiny.SPECIAL.unk)
    )
    same(left, right)
    assert not torch.allclose(left, model.encode_queries(tiny.tokens([[4, 8]])).vectors)
    assert "towers.0.text.frequent" in model.state_dict()


def test_the_scale_can_be_learned():
    assert make_model().scale.item() == pytest.approx(16)
    assert not make_model().log_scale.requires_grad
    assert make_model(learn_scale=True).log_scale.requires_grad
    assert make_model(scale=1000.0).scale.item() == pytest.approx(100)


def test_shared_word_vectors_are_frozen():
    model = make_model(vectors="shared")
    assert not any(p.requires_grad for p in model.towers[0].text.shared.parameters())
    assert make_model().towers[0].text.shared is None


def test_a_width_that_heads_do_not_divide_is_an_error():
    with pytest.raises(UsageError, match=r"feature width 9 cannot be divided .* dual.heads = 2"):
        Dual(9, tiny.VOCABULARY, replace(CONFIG, direct=True), tiny.SPECIAL.unk)


def test_very_long_queries_are_encoded():
    assert make_model().encode_queries(tiny.tokens([[4] * 100])).vectors.shape == (1, 5)


def test_the_mask_of_frequent_words_is_loaded_with_the_weights():
    counts = torch.zeros(tiny.VOCABULARY, dtype=torch.int64)
    model, other = make_model(counts), make_model()
    other.load_state_dict(model.state_dict())
    same(tiny.encode(other)[0].vectors, tiny.encode(model)[0].vectors)


def test_the_cosine_of_several_towers_is_the_mean_of_theirs():
    model = make_model(towers=3)
    queries, products = tiny.encode(model)
    matrices = model.tower_matrices(queries, products)
    same(queries.vectors.norm(dim=1), torch.ones(5, dtype=torch.float64))
    same(model.score_matrix(queries, products), torch.stack(matrices).mean(0))
    for tower, matrix in zip(model.towers, matrices, strict=True):
        alone = make_model()
        alone.towers[0].load_state_dict(tower.state_dict())
        same(alone.score_matrix(*tiny.encode(alone)), matrix)
    assert not torch.allclose(matrices[0], matrices[1])
