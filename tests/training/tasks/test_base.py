"""Drawn negatives that the words show to be positives add no loss (rule "subset")."""

from dataclasses import replace

import pytest
import torch

import tinymodels as tiny
from shopsight.batches.batch import pad_tokens
from shopsight.batches.false_negatives import drawn_positives
from shopsight.config import SentenceMatchConfig, WordMatchConfig
from shopsight.models.sentence_match import SentenceMatch
from shopsight.models.word_match import WordMatch
from shopsight.training.tasks.sentence_match import SentenceMatchTask
from shopsight.training.tasks.word_match import WordMatchTask

UNKNOWN = torch.tensor([tiny.SPECIAL.pad, tiny.SPECIAL.unk])
# The words of each product: its own query, and more. The negative queries of rows 2 and 3 are among
# the words of their clicked products, queries 1 and 4 among those of the drawn products.
WORDS = [[4, 5], [6], [4, 6, 7, 8, 9], [5, 9, 10, 11], [4, 9]]
FALSE_QUERIES, FALSE_PRODUCTS = {2, 3}, {1, 4}


def worded(words=WORDS):
    return replace(tiny.batch(), product_words=pad_tokens(words, tiny.SPECIAL.pad))


def naive_positives(wrong, words) -> tuple[set[int], set[int]]:
    rows = range(len(tiny.QUERIES))
    return (
        {i for i in rows if set(wrong[i]) <= set(words[i])},
        {i for i in rows if set(tiny.QUERIES[i]) <= set(words[(i + 1) % len(rows)])},
    )


def make_task(kind: str, rule: str):
    shared = {"gru_hidden": 4, "dropout": 0.0, "false_negatives": rule}
    if kind == "sentence":
        config = SentenceMatchConfig(**shared)
        model = SentenceMatch(tiny.WIDTH, tiny.words(), tiny.ENCODER, config).double()
        return SentenceMatchTask(model, config, None, UNKNOWN).eval()
    config = WordMatchConfig(**shared, match_hidden=5, hardest=False)
    model = WordMatch(tiny.WIDTH, tiny.words(), tiny.ENCODER, config).double()
    return WordMatchTask(model, config, None, UNKNOWN).eval()


def naive_loss(kind: str, task, batch, positives) -> torch.Tensor:
    """The loss pair by pair, without known matches; the mean counts all pairs."""
    model, total, count = task.model, 0.0, len(batch)
    products = model.encode_products(batch.regions)
    queries = [model.encode_queries(t) for t in (batch.queries, batch.negative_queries)]

    def score(query, product, wrong=False):
        return model.score_pairs(queries[wrong], products, *torch.tensor([[query], [product]]))

    for i in range(count):
        clicked = score(i, i)
        drawn = [score(i, i, wrong=True)] if i not in positives[0] else []
        drawn += [score(i, (i + 1) % count)] if i not in positives[1] else []
        if kind == "sentence":
            total += (1 + (-clicked).exp()).log() / (3 * count)
            total += sum((1 + score.exp()).log() for score in drawn) / (3 * count)
        else:
            total += sum((0.9 - clicked + score).clamp(min=0) for score in drawn) / count
    return total.squeeze()


@pytest.mark.parametrize("kind", ["word", "sentence"])
@pytest.mark.parametrize("rule", ["duplicates", "subset"])
def test_false_negatives_that_were_drawn_add_no_loss(kind, rule):
    task, batch = make_task(kind, rule), worded()
    positives = naive_positives(tiny.WRONG, WORDS) if rule == "subset" else (set(), set())
    assert positives == ((FALSE_QUERIES, FALSE_PRODUCTS) if rule == "subset" else (set(), set()))
    ours = sum(task.losses(batch).values())
    reference = naive_loss(kind, task, batch, positives)
    tiny.same_value_and_gradients(task.model, ours, reference, 20)


@pytest.mark.parametrize("kind", ["word", "sentence"])
def test_a_batch_of_false_negatives_only_is_finite(kind):
    task = make_task(kind, "subset")
    loss = sum(task.losses(worded([list(range(4, 12))] * 5)).values())
    gradients = tiny.gradients(loss, task.model)
    assert loss.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    assert (loss == 0) == (kind == "word")  # the sentence model still learns from clicked pairs


def test_random_drawn_negatives_equal_python_sets():
    generator = torch.Generator().manual_seed(3)

    def lists(longest):
        sizes = torch.randint(1, longest, (5,), generator=generator).tolist()
        return [torch.randint(4, 9, (size,), generator=generator).tolist() for size in sizes]

    found = 0
    for _ in range(30):
        wrong, words = lists(3), lists(6)
        batch = replace(worded(words), negative_queries=pad_tokens(wrong, 0))
        queries, products = drawn_positives(batch, "subset", UNKNOWN)
        expected = naive_positives(wrong, words)
        assert (set(queries.nonzero()[:, 0].tolist()), set(products.nonzero()[:, 0].tolist())) == (
            expected
        )
        found += len(expected[0]) + len(expected[1])
    assert 20 < found < 250


def test_an_unknown_word_makes_no_false_negative():
    batch = replace(worded([[1, 4]] * 5), negative_queries=pad_tokens([[1]] * 5, 0))
    queries, _ = drawn_positives(batch, "subset", UNKNOWN)
    assert not queries.any()
    with pytest.raises(ValueError, match="product_words"):
        drawn_positives(tiny.batch(), "subset", UNKNOWN)
