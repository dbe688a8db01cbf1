from dataclasses import replace

import pytest
import torch

import tinymodels as tiny
from shopsight.config import CrossConfig, DualConfig, Recipe
from shopsight.errors import UsageError
from shopsight.models.cross import Cross
from shopsight.models.registry import ModelInputs
from tinymodels import ALL, same

DUAL = DualConfig(width=8, out=5, heads=2, word_dropout=0.0, image_layers=1, text_layers=1)
CONFIG = CrossConfig(heads=2, layers=2, dropout=0.0, regions=5)
PAIRS = torch.cartesian_prod(ALL, ALL).T


class Words:
    size, unk = tiny.VOCABULARY, tiny.SPECIAL.unk


def make_model(dual=DUAL, **changes):
    config = replace(CONFIG, **changes)
    inputs = ModelInputs(Recipe(dual=dual), tiny.WIDTH, Words(), tiny.words())
    model = Cross.build(config, inputs).double()
    for weight in (model.weight_proj.weight, model.match_proj.weight, model.sides):
        torch.nn.init.normal_(weight)
    return model


def naive_layer(layer, rows):
    """A transformer layer on the (n, D) rows of one pair, head by head."""
    query, key, value = layer.qkv(layer.attention_norm(rows)).chunk(3, 1)
    size = rows.shape[1] // layer.heads
    mixed, paid = [], []
    for head in range(layer.heads):
        part = slice(head * size, (head + 1) * size)
        attention = (query[:, part] @ key[:, part].T / size**0.5).softmax(1)
        mixed.append(attention @ value[:, part])
        paid.append(attention)
    rows = rows + layer.out(torch.cat(mixed, 1))
    return rows + layer.feedforward(rows), torch.stack(paid).mean(0)


def unit(vector):
    return torch.nn.functional.normalize(vector, dim=0)


def naive_score(model, query, product):
    """One query and one product, everything computed anew, without packing and padding."""
    tokens, regions = tiny.tokens([query]), tiny.regions().take(product[None])
    words, _ = model.towers[0].text.rows(tokens)
    vector = torch.cat([unit(tower.text(tokens)[0]) for tower in model.towers])
    photo, _ = model.towers[0].image.rows(regions)
    other = torch.cat([unit(tower.image(regions)[0]) for tower in model.towers])
    photo = model.region_proj(photo)[: model.slots]
    rows = torch.cat([words + model.sides[0], photo + model.sides[1]])
    paid = rows.new_zeros(len(rows), len(rows))
    for layer in model.layers:
        rows, paid = naive_layer(layer, rows)
    rows = model.norm(rows)[: len(query)]
    weights, matches = model.weight_proj(rows)[:, 0].softmax(0), model.match_proj(rows)[:, 0]
    cosine = torch.nn.functional.cosine_similarity(vector, other, dim=0)
    return model.log_scale.exp() * cosine + weights @ matches, weights, matches, paid


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"layers": 1},
        {"layers": 0},
        {"regions": 2},
        {"dual": {"direct": True}},
        {"dual": {"towers": 2}},
    ],
)
def test_scores_and_gradients_equal_the_naive_ones(changes):
    dual = replace(DUAL, **changes.pop("dual", {}))
    model = make_model(dual, **changes)
    ours = model.score_pairs(*tiny.encode(model), *PAIRS)
    naive = [naive_score(model, tiny.QUERIES[query], product)[0] for query, product in PAIRS.T]
    naive, weights = torch.stack(naive), torch.linspace(-1, 2, 25, dtype=torch.float64)
    same(ours, naive)
    left, right = (tiny.gradients((x * weights).sum(), model) for x in (ours, naive))
    assert len(left) >= 30
    same(left, right)


def test_training_starts_from_the_ranking_of_the_dual_encoder():
    inputs = ModelInputs(Recipe(dual=DUAL), tiny.WIDTH, Words(), tiny.words())
    model = Cross.build(CONFIG, inputs).double()
    queries, products = tiny.encode(model)
    cosines = queries.vectors @ products.vectors.T
    same(model.score_pairs(queries, products, *PAIRS).view(5, 5), model.log_scale.exp() * cosines)


def test_encodings_have_a_fixed_size_and_do_not_depend_on_the_batch():
    model = make_model(regions=3)
    products = model.encode_products(tiny.regions())
    assert products.regions.shape == (5, 3, 8)
    # The mean region and two others, or fewer where the photo has fewer.
    assert products.mask.sum(1).tolist() == [3, 2, 3, 3, 3]
    for idx in ALL:
        alone = model.encode_products(tiny.regions().take(idx[None]))
        same(alone.tensors(), products.take(idx[None]).tensors())


def test_an_index_may_store_the_mask_as_numbers():
    model = make_model()
    queries, products = tiny.encode(model)
    numbers = replace(products, mask=products.mask.double() * 0.9999)
    same(model.score_pairs(queries, numbers, *PAIRS), model.score_pairs(queries, products, *PAIRS))


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_attributions_sum_to_the_score_and_show_the_attention(layers):
    model, regions = make_model(layers=layers), tiny.regions()
    queries, products = tiny.encode(model)
    for query, ids in enumerate(tiny.QUERIES):
        single = model.encode_queries(tiny.tokens([ids]))
        words = model.attribute(single, products, regions)
        same(words.weights.sum(1), torch.ones(5, dtype=torch.float64))
        scores = model.score_pairs(queries, products, torch.full((5,), query), ALL)
        cosines = (single.vectors * products.vectors).sum(1)
        same((words.weights * words.matches).sum(1) + model.log_scale.exp() * cosines, scores)
        for product in ALL.tolist():
            _, weights, matches, paid = naive_score(model, ids, torch.tensor(product))
            same(words.weights[product], weights)
            same(words.matches[product], matches)
            assert words.by_region[product].shape == (len(ids), tiny.LENGTHS[product])
            # Behind the words come the mean region, and then those of the photo.
            expected = paid[: len(ids), len(ids) + 1 :]
            same(words.by_region[product][:, : expected.shape[1]], expected)
    unknown = model.attribute(model.encode_queries(tiny.tokens([[4]])), products)
    assert [part.shape for part in unknown.by_region] == [(1, 0)] * 5


def test_region_weights_sum_to_one():
    parts = make_model().region_weights(tiny.regions()).split(tiny.LENGTHS)
    assert [part.sum().item() for part in parts] == pytest.approx([1] * 5)


def test_heads_must_divide_the_width():
    with pytest.raises(UsageError, match=r"width 8 cannot be divided among cross.heads = 3"):
        make_model(heads=3)
