import pytest
import torch

import tinymodels as tiny
from shopsight import losses
from shopsight.bench import reference_models
from shopsight.config import LabelMatchConfig
from shopsight.models.label_match import LabelMatch
from shopsight.training.tasks.label_match import LabelMatchTask
from tinymodels import ALL, same


def make_model(labels=range(tiny.VOCABULARY), **settings):
    parts = (tiny.WIDTH, tiny.words(), tiny.ENCODER, torch.tensor(list(labels)), tiny.SPECIAL)
    return LabelMatch(*parts, LabelMatchConfig(**settings)).double()


def test_special_tokens_are_not_labels():
    model = make_model([0, 1, 2, 3, 7, 5, 5])
    assert model.label_ids.tolist() == [5, 7]
    assert model.output_ids.tolist() == [5, 7, tiny.SPECIAL.end]
    assert model.columns(torch.tensor([[5, 7, 3], [0, 1, 11]])).tolist() == [[0, 1, 2], [-1] * 3]


def test_labels_are_the_distinct_words_of_a_query():
    model = make_model([4, 5, 6])
    targets = model.label_targets(tiny.tokens([[4, 4, 6], [5, 1], [11], [3, 5]]))
    assert targets.tolist() == [
        [True, False, True],
        [False, True, False],
        [False, False, False],
        [False, True, False],
    ]


def test_padding_is_not_a_label():
    model = make_model([4, 5, 6])
    wide = tiny.widened(tiny.tokens([[4], [5, 6]]), 2, fill=6)
    assert model.label_targets(wide).tolist() == [[True, False, False], [False, True, True]]


def test_logits_of_labels_equal_those_over_the_whole_vocabulary():
    model = make_model([4, 6, 9])
    ours = model.label_logits(model.encoder(tiny.regions()))
    same(ours, reference_models.label_logits(model, tiny.regions())[:, [4, 6, 9]])


@pytest.mark.parametrize("hardest", [2, 1000])
def test_both_losses_equal_the_reference(hardest):
    model, tokens = make_model(), tiny.tokens()
    encoding = model.encoder(tiny.regions())
    logits, targets = model.label_logits(encoding), model.label_targets(tokens)
    labels = losses.bce_with_hard_negatives(logits, targets, hardest)
    caption = losses.caption_cross_entropy(*model.caption_logits(encoding.caption, tokens), 5)
    reference = reference_models.label_match_loss(model, tiny.batch(), hardest)
    same(torch.stack([labels, caption]), reference)
    tiny.same_value_and_gradients(model, labels + caption, reference.sum(), least=30)


def test_a_word_that_is_not_a_label_is_not_a_caption_target():
    model = make_model([4, 5])
    _, targets = model.caption_logits(
        model.encoder(tiny.regions([2])).caption, tiny.tokens([[4, 9]])
    )
    assert sorted(targets.tolist()) == [-1, 0, 2]  # 9 has no column, the end has the last


def test_captions_are_causal():
    model = make_model()
    starts = model.encoder(tiny.regions([2, 2])).caption[[0, 0]]
    logits, targets = model.caption_logits(starts, tiny.tokens([[4, 5, 6], [4, 5, 9]]))
    assert targets.tolist() == [0, 0, 1, 1, 2, 5, 8, 8]
    same(logits[0:6:2], logits[1:6:2])
    assert not torch.allclose(logits[6], logits[7])


def test_label_match_by_hand():
    model = make_model()
    queries = model.encode_queries(tiny.tokens())
    products = model.encode_products(tiny.regions())
    scores = model.score_pairs(queries, products, ALL, ALL.flip(0))
    logits = reference_models.label_logits(model, tiny.regions())
    expected = [logits[4 - i, ids].sigmoid().log().mean() for i, ids in enumerate(tiny.QUERIES)]
    same(scores, torch.stack(expected))
    wide = model.encode_queries(tiny.widened(tiny.tokens(), 2))
    same(model.score_pairs(wide, products, ALL, ALL.flip(0)), scores)


def test_the_decoder_can_read_other_tokens_than_it_predicts():
    model = make_model()
    starts, tokens = model.encoder(tiny.regions()).caption, tiny.tokens()
    read = tiny.tokens([[4, 1], [6], [7, 8, 9, 4], [10, 11, 5], [4, 4]])
    logits, targets = model.caption_logits(starts, tokens, read)
    unmasked, same_targets = model.caption_logits(starts, tokens)
    assert torch.equal(targets, same_targets)
    assert (logits != unmasked).any(1).sum() == 1  # only after the unknown word


def test_softmax_scores_are_mean_log_probabilities_of_the_words():
    model = make_model(loss="softmax").eval()
    queries, products = tiny.encode(model)
    ours = model.score_pairs(queries, products, ALL, ALL)
    logits = reference_models.label_logits(model, tiny.regions())[:, model.label_ids]  # (5, V)
    probabilities = logits.exp() / logits.exp().sum(1, keepdim=True)
    column = {int(token): i for i, token in enumerate(model.label_ids)}
    expected = [
        torch.stack([probabilities[i, column[w]].log() for w in words]).mean()
        for i, words in enumerate(tiny.QUERIES)
    ]
    same(ours, torch.stack(expected))
    same(model.label_probabilities(model.encoder(tiny.regions())), probabilities)
    tiny.same_value_and_gradients(model, ours.sum(), torch.stack(expected).sum(), least=20)


def test_the_softmax_loss_shares_a_photo_among_its_words():
    model, batch = make_model(loss="softmax"), tiny.batch()
    config = LabelMatchConfig(loss="softmax", caption_weight=0)
    ours = LabelMatchTask(model, config).losses(batch)["labels"]
    logits = model.label_logits(model.encoder(tiny.regions())).softmax(1).log()
    column = {int(token): i for i, token in enumerate(model.label_ids)}
    rows = [
        -torch.stack([logits[i, column[w]] for w in set(words)]).mean()
        for i, words in enumerate(tiny.QUERIES)
    ]
    tiny.same_value_and_gradients(model, ours, torch.stack(rows).mean(), least=20)
