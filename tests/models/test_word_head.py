import pytest
import torch

import tinymodels as tiny
from shopsight import losses
from shopsight.batches.batch import pad_tokens
from shopsight.config import FeaturesConfig, WordHeadConfig
from shopsight.models.word_head import WordClassifier
from shopsight.training.tasks.word_head import WordHeadTask
from tinymodels import ALL, same

CONFIG = WordHeadConfig(features=FeaturesConfig(), hidden=3, dropout=0, hidden_dropout=0)
LABELS = {4: 0, 5: 1, 6: 2, 7: 3}  # the others have no label


@pytest.fixture
def model():
    columns = torch.tensor([LABELS.get(token, -1) for token in range(tiny.VOCABULARY)])
    torch.manual_seed(1)
    return WordClassifier(tiny.WIDTH, len(LABELS), columns, CONFIG).double()


def log_probabilities(model):
    """(5, L) by product, one at a time."""
    rows = torch.split(tiny.regions().features, tiny.LENGTHS)
    inputs = torch.stack([torch.cat([r.mean(0), r.amax(0)]) for r in rows])
    first, last = model.hidden[1], model.words
    hidden = (inputs @ first.weight.T + first.bias).clamp(min=0)
    return torch.log((hidden @ last.weight.T + last.bias).softmax(1))


def test_scores_are_the_mean_log_probabilities_of_the_words(model):
    queries, products = tiny.encode(model)
    ours = model.score_pairs(queries, products, ALL, ALL)
    logs = log_probabilities(model)
    expected = [
        torch.stack([logs[i, LABELS[w]] for w in words if w in LABELS]).mean()
        if set(words) & LABELS.keys()
        else logs.new_zeros(())
        for i, words in enumerate(tiny.QUERIES)
    ]
    tiny.same_as_reference(model, ours, torch.stack(expected), 4)
    wide = model.encode_queries(tiny.widened(tiny.tokens(), 2))
    same(model.score_pairs(wide, products, ALL, ALL), ours)


def test_a_query_without_labels_scores_all_products_alike(model):
    queries, products = tiny.encode(model, tiny.tokens([[9, 10], [1]]))
    scores = model.score_pairs(queries, products, torch.tensor([0, 0, 1]), torch.tensor([0, 1, 2]))
    assert scores.tolist() == [0, 0, 0]


def test_the_loss_is_over_the_words_of_the_product(model):
    words = [[4, 4, 9], [7, 6], [5], [11], [6, 5, 4]]
    batch = tiny.batch()
    batch = type(batch)(**{**vars(batch), "product_words": pad_tokens(words, 0)})
    ours = WordHeadTask(model, CONFIG).losses(batch)["words"]
    logs = log_probabilities(model)
    rows = [
        -torch.stack([logs[i, LABELS[w]] for w in sorted(set(row) & LABELS.keys())]).mean()
        if set(row) & LABELS.keys()
        else logs.new_zeros(())
        for i, row in enumerate(words)
    ]
    tiny.same_value_and_gradients(model, ours, torch.stack(rows).mean(), least=4)


def test_label_softmax_ignores_rows_without_labels():
    labels = torch.tensor([[True, True, False], [False, False, False]])
    logits = torch.tensor([[0.0, 1.0, 2.0], [9.0, 9.0, 9.0]], requires_grad=True)
    loss = losses.label_softmax(logits, labels)
    total = torch.tensor([0.0, 1.0, 2.0]).exp().sum().log()
    assert loss.item() == pytest.approx((total.item() - 0.5) / 2)
    loss.backward()
    assert not logits.grad[1].any()
