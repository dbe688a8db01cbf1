import pytest
import torch

from shopsight import losses
from shopsight.bench import reference_models
from shopsight.models.label_match import LabelMatch
from tinymodels import (
    ALL,
    ENCODER,
    QUERIES,
    SPECIAL,
    VOCABULARY,
    WIDTH,
    make_regions,
    make_tokens,
    make_words,
    same,
    same_value_and_gradients,
    widened,
)  # fmt: skip


def make_model(labels=range(VOCABULARY)):
    ids = torch.tensor(list(labels))
    return LabelMatch(WIDTH, make_words(), ENCODER, ids, SPECIAL).double()


def test_special_tokens_are_not_labels():
    model = make_model([0, 1, 2, 3, 7, 5, 5])
    assert model.label_ids.tolist() == [5, 7]
    assert model.output_ids.tolist() == [5, 7, SPECIAL.end]
    assert model.columns(torch.tensor([[5, 7, 3], [0, 1, 11]])).tolist() == [[0, 1, 2], [-1] * 3]


def test_labels_are_the_distinct_words_of_a_query():
    model = make_model([4, 5, 6])
    targets = model.label_targets(make_tokens([[4, 4, 6], [5, 1], [11], [3, 5]]))
    assert targets.tolist() == [
        [True, False, True],
        [False, True, False],
        [False, False, False],
        [False, True, False],
    ]


def test_padding_is_not_a_label():
    model = make_model([4, 5, 6])
    wide = widened(make_tokens([[4], [5, 6]]), 2, fill=6)
    assert model.label_targets(wide).tolist() == [[True, False, False], [False, True, True]]


def test_logits_of_labels_equal_those_over_the_whole_vocabulary():
    model = make_model([4, 6, 9])
    ours = model.label_logits(model.encoder(make_regions()))
    same(ours, reference_models.label_logits(model, make_regions())[:, [4, 6, 9]])


@pytest.mark.parametrize("hardest", [2, 1000])
def test_both_losses_equal_the_reference(hardest):
    model, tokens = make_model(), make_tokens()
    encoding = model.encoder(make_regions())
    label = losses.bce_with_hard_negatives(
        model.label_logits(encoding), model.label_targets(tokens), hardest
    )
    caption = losses.caption_cross_entropy(
        *model.caption_logits(encoding.caption, tokens), len(tokens)
    )
    reference = reference_models.label_match_loss(model, make_regions(), tokens, hardest)
    same((label, caption), reference)
    same_value_and_gradients(model, label + caption, sum(reference), least=30)


def test_a_word_that_is_not_a_label_is_not_a_caption_target():
    model = make_model([4, 5])
    _, targets = model.caption_logits(
        model.encoder(make_regions([2])).caption, make_tokens([[4, 9]])
    )
    assert sorted(targets.tolist()) == [-1, 0, 2]  # 9 has no column, the end has the last


def test_captions_are_causal():
    model = make_model()
    starts = model.encoder(make_regions([2, 2])).caption[[0, 0]]
    logits, targets = model.caption_logits(starts, make_tokens([[4, 5, 6], [4, 5, 9]]))
    assert targets.tolist() == [0, 0, 1, 1, 2, 5, 8, 8]
    same(logits[0:6:2], logits[1:6:2])
    assert not torch.allclose(logits[6], logits[7])


def test_label_match_by_hand():
    model = make_model()
    queries = model.encode_queries(make_tokens())
    products = model.encode_products(make_regions())
    scores = model.score_pairs(queries, products, ALL, ALL.flip(0))
    logits = reference_models.label_logits(model, make_regions())
    expected = [logits[4 - i, ids].sigmoid().log().mean() for i, ids in enumerate(QUERIES)]
    same(scores, torch.stack(expected))
    wide = model.encode_queries(widened(make_tokens(), 2))
    same(model.score_pairs(wide, products, ALL, ALL.flip(0)), scores)


def test_the_decoder_can_read_other_tokens_than_it_predicts():
    model = make_model()
    starts, tokens = model.encoder(make_regions()).caption, make_tokens()
    read = make_tokens([[4, 1], [6], [7, 8, 9, 4], [10, 11, 5], [4, 4]])
    logits, targets = model.caption_logits(starts, tokens, read)
    unmasked, same_targets = model.caption_logits(starts, tokens)
    assert torch.equal(targets, same_targets)
    assert (logits != unmasked).any(1).sum() == 1  # only after the unknown word
