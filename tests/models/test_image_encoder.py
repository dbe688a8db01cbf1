from dataclasses import replace

import pytest
import torch

import tinymodels as tiny
from shopsight.bench import reference_models
from shopsight.errors import UsageError
from shopsight.models.image_encoder import ImageEncoder
from tinymodels import same


def make_model(**changes):
    encoder = ImageEncoder(tiny.WIDTH, tiny.WORD_WIDTH, replace(tiny.ENCODER, **changes)).double()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return encoder


def weighted(heads):
    """A scalar with a different weight for each number of the heads."""
    return (heads * torch.linspace(-1, 1, heads.numel(), dtype=torch.float64).view_as(heads)).sum()


@pytest.mark.parametrize("lengths", [[2, 1, 4, 2, 3], [1], [3, 3], [1, 9, 1, 9, 1, 9]])
def test_packing_and_early_pooling_equal_padding_and_late_pooling(lengths):
    encoder, regions = make_model(), tiny.regions(lengths)
    ours, reference = encoder(regions).heads, reference_models.encode(encoder, regions)
    assert ours.shape == (len(lengths), 4, tiny.WORD_WIDTH)
    same(ours, reference)
    if lengths == [2, 1, 4, 2, 3]:
        tiny.same_value_and_gradients(encoder, weighted(ours), weighted(reference), least=25)


def test_the_caption_head_is_the_first():
    encoding = make_model()(tiny.regions())
    same(encoding.caption, encoding.heads[:, 0])
    same(encoding.labels, encoding.heads[:, 1:])


def test_region_weights_sum_to_one_in_region_order():
    encoder, regions = make_model(), tiny.regions()
    weights = encoder(regions).weights
    same(regions.packing.sum(weights), torch.ones(5, dtype=torch.float64))
    alone = [encoder(regions.take(torch.tensor([i]))).weights for i in range(5)]
    same(weights, torch.cat(alone))


def test_an_encoding_does_not_depend_on_the_other_photos():
    encoder, regions = make_model(), tiny.regions()
    order = torch.tensor([3, 0, 4, 1, 2, 0])
    same(encoder(regions.take(order)).heads, encoder(regions).heads[order])


def test_the_order_of_a_photos_regions_does_not_matter():
    encoder, regions = make_model(), tiny.regions([4])
    turned = replace(regions, features=regions.features.flip(0), boxes=regions.boxes.flip(0))
    same(encoder(turned).heads, encoder(regions).heads)
    same(encoder(turned).weights, encoder(regions).weights.flip(0))


def test_a_cached_trunk_gives_the_same_encodings_and_gradients():
    encoder, regions = make_model(), tiny.regions()
    encoder.freeze_trunk()
    cached = replace(regions, features=encoder.through_trunk(regions).detach(), through_trunk=True)
    left, right = weighted(encoder(cached).heads), weighted(encoder(regions).heads)
    tiny.same_value_and_gradients(encoder, left, right, least=9)
    trunk = [name for name, p in encoder.named_parameters() if p.requires_grad and "trunk" in name]
    assert trunk == []


def test_a_trunk_frozen_without_dropout_is_constant_in_training():
    encoder, regions = make_model(dropout=0.5), tiny.regions()
    encoder.freeze_trunk()
    encoder.train()
    first, second = encoder.through_trunk(regions), encoder.through_trunk(regions)
    same(first, second)
    assert not torch.equal(encoder(regions).heads, encoder(regions).heads)


def test_a_trunk_frozen_with_dropout_keeps_it_in_training_only():
    encoder, regions = make_model(dropout=0.5), tiny.regions()
    encoder.freeze_trunk(dropout=True)
    encoder.train()
    assert not torch.equal(encoder.through_trunk(regions), encoder.through_trunk(regions))
    encoder.eval()
    same(encoder.through_trunk(regions), encoder.through_trunk(regions))


def test_a_width_that_heads_do_not_divide_is_an_error():
    with pytest.raises(UsageError, match=r"width 9 cannot .* encoder.attention_heads = 2"):
        ImageEncoder(9, tiny.WORD_WIDTH, tiny.ENCODER)


def test_half_precision_features_are_read():
    encoder, regions = make_model().float(), tiny.regions()
    half = replace(regions, features=regions.features.half(), boxes=regions.boxes.float())
    whole = replace(half, features=half.features.float())
    torch.testing.assert_close(encoder(half).heads, encoder(whole).heads)
