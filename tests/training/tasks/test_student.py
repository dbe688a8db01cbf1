"""The student's task: its start, its loss against a naive reference, and what it can learn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import tinymodels as tiny
from shopsight.batches.batch import CandidateBatch
from shopsight.config import DualConfig, Recipe, StudentConfig
from shopsight.models.dual import Dual, Student
from shopsight.models.registry import ModelInputs
from shopsight.training.tasks.student import StudentTask
from shopsight.weights import save_weights
from tinymodels import same

DUAL = DualConfig(width=8, out=5, heads=2, dropout=0.0, word_dropout=0.0, towers=3, text_layers=1)
CONFIG = StudentConfig(dropout=0.0, temperature=0.5)


class Words:
    size, unk = tiny.VOCABULARY, tiny.SPECIAL.unk


def make_task(**changes):
    config = replace(CONFIG, **changes)
    inputs = ModelInputs(Recipe(dual=DUAL), tiny.WIDTH, Words(), tiny.words())
    return StudentTask(Student.build(config, inputs).double(), config)


def make_batch():
    generator = torch.Generator().manual_seed(2)
    return CandidateBatch(
        tiny.regions(),
        tiny.tokens(),
        torch.randint(0, 5, (5, 4), generator=generator),
        torch.tensor([[True] * 4, [True] * 2 + [False] * 2, *[[True] * 3 + [False]] * 3]),
        torch.zeros(5, 4, dtype=torch.bool),
        torch.randn(5, 4, generator=generator, dtype=torch.float64),
        tiny.tokens(),
    )


def naive_loss(model, batch, temperature):
    """Pair by pair, each product and query encoded anew."""
    total = 0.0
    for row, query in enumerate(tiny.QUERIES):
        real = batch.mask[row].nonzero()[:, 0]
        scores = []
        for column in real:
            product = model.encode_products(
                batch.regions.take(batch.candidate_idx[row, column][None])
            )
            vector = model.encode_queries(tiny.tokens([query])).vectors[0]
            scores.append(model.scale * vector @ product.vectors[0])
        ours = torch.stack(scores).softmax(0)
        theirs = (batch.teacher[row, real] / temperature).softmax(0)
        total = total + (theirs * (theirs / ours).log()).sum()
    return total / len(tiny.QUERIES)


@pytest.mark.parametrize("towers", [1, 2])
def test_the_loss_equals_the_naive_one_with_its_gradients(towers):
    task, batch = make_task(towers=towers), make_batch()
    (loss,) = task.losses(batch).values()
    expected = naive_loss(task.model, batch, 0.5)
    same(loss, expected)
    ours, reference = tiny.gradients(loss, task.model), tiny.gradients(expected, task.model)
    assert len(ours) >= 20
    same(ours, reference)


def test_it_starts_from_the_first_towers(tmp_path):
    dual = Dual(tiny.WIDTH, tiny.VOCABULARY, DUAL, tiny.SPECIAL.unk).double()
    save_weights(tmp_path / "dual", dual, {})
    queries, products = tiny.encode(dual)
    towers = dual.tower_matrices(queries, products)
    task = make_task()
    task.start(lambda name: tmp_path / name)
    same(task.model.score_matrix(*tiny.encode(task.model)), towers[0])
    two = make_task(towers=2)
    two.start(lambda name: tmp_path / name)
    same(two.model.score_matrix(*tiny.encode(two.model)), (towers[0] + towers[1]) / 2)
    scratch = make_task(start="random")
    scratch.start(lambda name: tmp_path / name)
    assert not torch.allclose(scratch.model.score_matrix(*tiny.encode(scratch.model)), towers[0])


def test_it_learns_the_order_of_its_teacher():
    torch.manual_seed(1)
    task, batch = make_task(temperature=1.0), make_batch()
    # Different candidates: two scores of the same product could not be learned.
    batch = replace(batch, candidate_idx=torch.stack([torch.randperm(5)[:4] for _ in range(5)]))
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-2)
    for _ in range(300):
        (loss,) = task.losses(batch).values()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.01
    scores = task.model.score_matrix(*tiny.encode(task.model)).gather(1, batch.candidate_idx)
    for ours, teacher, mask in zip(scores, batch.teacher, batch.mask, strict=True):
        assert ours[mask].argsort().tolist() == teacher[mask].argsort().tolist()
