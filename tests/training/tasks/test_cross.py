"""The cross-encoder's task: its loss against a naive reference, its start, what it can learn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import tinymodels as tiny
from models.test_cross import CONFIG, DUAL, Words
from shopsight.batches.batch import CandidateBatch, pad_tokens
from shopsight.config import Recipe
from shopsight.models.cross import Cross
from shopsight.models.dual import Dual
from shopsight.models.registry import ModelInputs
from shopsight.training.tasks.cross import CrossTask
from shopsight.weights import save_weights
from tinymodels import same

REAL = torch.tensor([[True] * 4, [True] * 2 + [False] * 2, *[[True] * 3 + [False]] * 3])


def make_task(**changes):
    config = replace(CONFIG, **changes)
    inputs = ModelInputs(Recipe(dual=DUAL), tiny.WIDTH, Words(), tiny.words())
    special = torch.tensor(tiny.SPECIAL)
    task = CrossTask(Cross.build(config, inputs).double(), config, None, special)
    for weight in (task.model.weight_proj.weight, task.model.match_proj.weight):
        torch.nn.init.normal_(weight)
    return task


def make_batch():
    generator = torch.Generator().manual_seed(2)
    idx = torch.stack([torch.randperm(5, generator=generator)[:4] for _ in range(5)])
    clicked = torch.zeros(5, 4, dtype=torch.bool)
    clicked[0, 0] = clicked[0, 1] = clicked[1, 0] = clicked[2, 2] = clicked[4, 3] = True
    teacher = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    # Product 1 was clicked for all words of the query [4, 5], so it is not a negative of it.
    words = pad_tokens([[9], [4, 5, 8], [4], [11], [7, 10]], tiny.SPECIAL.pad)
    return CandidateBatch(tiny.regions(), tiny.tokens(), idx, REAL, clicked, teacher, words)


def naive_clicks(scores, batch):
    """Query by query: each clicked candidate among the negatives."""
    total, queries = 0.0, 0
    for row, query in enumerate(tiny.QUERIES):
        words = [set(ids[mask].tolist()) for ids, mask in
                 zip(batch.product_words.ids, batch.product_words.mask, strict=True)]  # fmt: skip
        real = [column for column in range(4) if batch.mask[row, column]]
        clicked = [column for column in real if batch.clicked[row, column]]
        negative = [
            column for column in real
            if column not in clicked and not set(query) <= words[batch.candidate_idx[row, column]]
        ]  # fmt: skip
        if not clicked:
            continue
        queries += 1
        for column in clicked:
            logits = torch.stack([scores[row, i] for i in (column, *negative)])
            total = total - logits.log_softmax(0)[0] / len(clicked)
    return total / queries


@pytest.mark.parametrize("weights", [(1.0, 0.5), (0.0, 1.0), (2.0, 0.0)])
def test_the_loss_equals_the_naive_one_with_its_gradients(weights):
    task, batch = make_task(imitation=weights[0], clicks=weights[1]), make_batch()
    parts = task.losses(batch)
    assert list(parts) == [n for n, w in zip(("imitation", "clicks"), weights, strict=True) if w]
    loss = sum(parts.values())
    queries, products = tiny.encode(task.model)
    scores = torch.stack(
        [
            task.model.score_pairs(queries, products, torch.full((4,), row), idx)
            for row, idx in enumerate(batch.candidate_idx)
        ]
    )
    kl = 0.0
    for ours, teacher, real in zip(scores, batch.teacher, REAL, strict=True):
        p, q = (teacher[real] / 0.4).softmax(0), ours[real].softmax(0)
        kl = kl + (p * (p / q).log()).sum() / 5
    expected = weights[0] * kl + weights[1] * naive_clicks(scores, batch)
    tiny.same_value_and_gradients(task.model, loss, expected, 30)


def test_it_starts_from_the_towers(tmp_path):
    config = replace(DUAL, dropout=0.0)
    dual = Dual(tiny.WIDTH, tiny.VOCABULARY, config, tiny.SPECIAL.unk).double()
    save_weights(tmp_path / "dual", dual, {})
    task = make_task()
    task.start(lambda name: tmp_path / name)
    queries, products = tiny.encode(task.model)
    same(queries.vectors @ products.vectors.T, dual.score_matrix(*tiny.encode(dual)))


def test_the_towers_have_a_learning_rate_of_its_own():
    task = make_task(tower_lr=1e-4)
    task.freeze()
    groups = task.parameter_groups(task.config.train)
    assert [group["lr"] for group in groups] == [1e-4, 1e-3, 1e-3]
    counted = sum(len(group["params"]) for group in groups)
    assert counted == sum(p.requires_grad for p in task.model.parameters())
    frozen = make_task(tower_lr=0.0)
    frozen.freeze()
    assert frozen.parameter_groups(frozen.config.train)[0]["params"] == []
    assert not frozen.train().model.towers.training
    assert frozen.model.layers.training


def test_it_learns_the_order_of_its_teacher():
    task, batch = make_task(clicks=0.0), make_batch()
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-2)
    for _ in range(200):
        (loss,) = task.losses(batch).values()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.01
