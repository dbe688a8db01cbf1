from dataclasses import replace

import pytest
import torch

from shopsight.config import DualConfig
from shopsight.errors import UsageError
from shopsight.models.dual import Dual
from tinymodels import (
    SPECIAL,
    VOCABULARY,
    WIDTH,
    same,
    some_regions,
    some_tokens,
    some_words,
    widened,
)

CONFIG = DualConfig(width=8, out=5, heads=2, dropout=0.0, word_dropout=0.0)
EVERY = torch.arange(5)
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


def made(counts=None, **changes):
    config = replace(CONFIG, **changes)
    return Dual(WIDTH, VOCABULARY, config, SPECIAL.unk, counts, some_words()).double()


def codes(model, tokens=None, regions=None):
    return (
        model.encode_queries(tokens or some_tokens()),
        model.encode_products(regions or some_regions()),
    )


@pytest.mark.parametrize("changes", KINDS)
def test_company_padding_and_order_change_nothing(changes):
    model = made(**changes)
    queries, products = codes(model)
    assert queries.vectors.shape == products.vectors.shape == (5, 5 * changes.get("towers", 1))
    alone = [model.encode_products(some_regions().take(one[None])).vectors for one in EVERY]
    same(torch.cat(alone), products.vectors)
    same(codes(model, widened(some_tokens(), 3))[0].vectors, queries.vectors)
    order = torch.tensor([4, 1, 0, 3, 2, 2, 0, 4])
    same(model.encode_products(some_regions().take(order)).vectors, products.vectors[order])


@pytest.mark.parametrize("changes", KINDS)
def test_everything_that_learns_has_a_gradient(changes):
    model = made(**changes)
    for parameter in model.parameters():
        if parameter.dim() < 2 and parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    scores = model.score_matrix(*codes(model))
    (scores * torch.randn_like(scores)).sum().backward()
    still = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert still == []
    assert sum(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.parameters()) >= 8


def test_scores_are_cosines():
    model = made()
    queries, products = codes(model)
    same(queries.vectors.norm(dim=1), torch.ones(5, dtype=torch.float64))
    matrix = model.score_matrix(queries, products)
    assert matrix.abs().max() <= 1 + 1e-9
    pairs = torch.cartesian_prod(EVERY, EVERY).T
    same(model.score_pairs(queries, products, *pairs).view(5, 5), matrix)


def test_the_order_of_words_counts_where_it_should():
    forth, back = some_tokens([[4, 5, 6]]), some_tokens([[6, 5, 4]])
    for changes, counts in [({}, True), ({"positions": False}, False), ({"text": "gru"}, True)]:
        model = made(**changes)
        left, right = (model.encode_queries(one).vectors for one in (forth, back))
        assert torch.allclose(left, right) is not counts


def test_the_mean_region_is_in_front():
    model = made(image_layers=0, image_pool="first", boxes=False)
    side, regions = model.towers[0].image, some_regions()
    rows = side.input_proj(side.features(regions.features))
    means = torch.stack([part.mean(0) for part in rows.split(regions.lengths.tolist())])
    expected = side.output_proj.out(side.output_proj.norm(means + side.mean_region))
    same(side(regions), expected)


def test_rare_words_are_unknown():
    counts = torch.full((VOCABULARY,), 5)
    counts[7] = 1
    model = made(counts, min_count=2)
    left, right = (model.encode_queries(some_tokens([[4, i]])).vectors for i in (7, SPECIAL.unk))
    same(left, right)
    assert not torch.allclose(left, model.encode_queries(some_tokens([[4, 8]])).vectors)
    assert "towers.0.text.known" in model.state_dict()


def test_the_scale_can_be_learned():
    assert made().scale.item() == pytest.approx(16)
    assert not made().log_scale.requires_grad
    assert made(learn_scale=True).log_scale.requires_grad
    assert made(scale=1000.0).scale.item() == pytest.approx(100)


def test_shared_word_vectors_stay_as_they_are():
    model = made(vectors="shared")
    assert not any(p.requires_grad for p in model.towers[0].text.shared.parameters())
    assert made().towers[0].text.shared is None


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match=r"feature width 9 cannot be divided .* dual.heads = 2"):
        Dual(9, VOCABULARY, replace(CONFIG, direct=True), SPECIAL.unk)


def test_very_long_queries_are_encoded():
    assert made().encode_queries(some_tokens([[4] * 100])).vectors.shape == (1, 5)


def test_a_known_mask_is_loaded_with_the_weights():
    counts = torch.zeros(VOCABULARY, dtype=torch.int64)
    model, other = made(counts), made()
    other.load_state_dict(model.state_dict())
    same(codes(other)[0].vectors, codes(model)[0].vectors)


def test_the_cosine_of_several_towers_is_the_mean_of_theirs():
    model = made(towers=3)
    queries, products = codes(model)
    matrices = model.tower_matrices(queries, products)
    same(queries.vectors.norm(dim=1), torch.ones(5, dtype=torch.float64))
    same(model.score_matrix(queries, products), torch.stack(matrices).mean(0))
    for tower, matrix in zip(model.towers, matrices, strict=True):
        alone = made()
        alone.towers[0].load_state_dict(tower.state_dict())
        same(alone.score_matrix(*codes(alone)), matrix)
    assert not torch.allclose(matrices[0], matrices[1])
