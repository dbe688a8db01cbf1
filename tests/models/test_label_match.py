import pytest
import torch

from shopsight import losses
from shopsight.bench import reference_models as reference_models
from shopsight.models.label_match import LabelMatch
from tinymodels import (
    ENCODER,
    QUERIES,
    SPECIAL,
    VOCABULARY,
    WIDTH,
    same,
    same_value_and_gradients,
    some_regions,
    some_tokens,
    some_words,
    widened,
)

EVERY = torch.arange(5)


def made(labels=range(VOCABULARY)):
    ids = torch.tensor(list(labels))
    return LabelMatch(WIDTH, some_words(), ENCODER, ids, SPECIAL).double()


def test_special_tokens_are_no_labels():
    model = made([0, 1, 2, 3, 7, 5, 5])
    assert model.label_ids.tolist() == [5, 7]
    assert model.output_ids.tolist() == [5, 7, SPECIAL.end]
    assert model.columns(torch.tensor([[5, 7, 3], [0, 1, 11]])).tolist() == [[0, 1, 2], [-1] * 3]


def test_labels_are_the_distinct_words_of_a_query():
    model = made([4, 5, 6])
    targets = model.label_targets(some_tokens([[4, 4, 6], [5, 1], [11], [3, 5]]))
    assert targets.tolist() == [
        [True, False, True],
        [False, True, False],
        [False, False, False],
        [False, True, False],
    ]


def test_padding_is_no_label():
    model = made([4, 5, 6])
    wide = widened(some_tokens([[4], [5, 6]]), 2, fill=6)
    assert model.label_targets(wide).tolist() == [[True, False, False], [False, True, True]]


def test_logits_over_occurring_words_are_those_of_the_whole_vocabulary():
    model = made([4, 6, 9])
    ours = model.label_logits(model.encoder(some_regions()))
    same(ours, reference_models.label_logits(model, some_regions())[:, [4, 6, 9]])


@pytest.mark.parametrize("hardest", [2, 1000])
def test_both_losses_are_the_plain_ones(hardest):
    model, tokens = made(), some_tokens()
    code = model.encoder(some_regions())
    label = losses.bce_with_hard_negatives(
        model.label_logits(code), model.label_targets(tokens), hardest
    )
    caption = losses.caption_cross_entropy(*model.caption_logits(code.caption, tokens), len(tokens))
    plain = reference_models.pretrain_loss(model, some_regions(), tokens, hardest)
    same((label, caption), plain)
    same_value_and_gradients(model, label + caption, sum(plain), least=30)


def test_a_word_that_is_no_label_is_no_target_of_a_caption():
    model = made([4, 5])
    _, targets = model.caption_logits(
        model.encoder(some_regions([2])).caption, some_tokens([[4, 9]])
    )
    assert sorted(targets.tolist()) == [-1, 0, 2]  # 9 is left out, the end comes last


def test_captions_do_not_see_what_follows():
    model = made()
    starts = model.encoder(some_regions([2, 2])).caption[[0, 0]]
    logits, targets = model.caption_logits(starts, some_tokens([[4, 5, 6], [4, 5, 9]]))
    assert targets.tolist() == [0, 0, 1, 1, 2, 5, 8, 8]
    same(logits[0:6:2], logits[1:6:2])
    assert not torch.allclose(logits[6], logits[7])


def test_label_match_by_hand():
    model = made()
    queries = model.encode_queries(some_tokens())
    products = model.encode_products(some_regions())
    scores = model.score_pairs(queries, products, EVERY, EVERY.flip(0))
    logits = reference_models.label_logits(model, some_regions())
    expected = [logits[4 - i, ids].sigmoid().log().mean() for i, ids in enumerate(QUERIES)]
    same(scores, torch.stack(expected))
    wide = model.encode_queries(widened(some_tokens(), 2))
    same(model.score_pairs(wide, products, EVERY, EVERY.flip(0)), scores)


def test_what_is_read_can_differ_from_what_is_predicted():
    model = made()
    starts, tokens = model.encoder(some_regions()).caption, some_tokens()
    read = some_tokens([[4, 1], [6], [7, 8, 9, 4], [10, 11, 5], [4, 4]])
    logits, targets = model.caption_logits(starts, tokens, read)
    plain, same_targets = model.caption_logits(starts, tokens)
    assert torch.equal(targets, same_targets)
    assert (logits != plain).any(1).sum() == 1  # after the unknown word only
