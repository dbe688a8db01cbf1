import numpy as np
import pytest
import torch

from shopsight.batches.candidates import CandidateLoader, ScoredCandidates
from shopsight.errors import DataError, UsageError
from training.standin import MemoryStore, make_pairs

QUERIES, WIDTH = 11, 5


def make_table(queries=QUERIES):
    rng = np.random.default_rng(4)
    products = rng.integers(0, 20, (QUERIES, WIDTH))
    products[1, 3:] = products[4, 1:] = -1
    scores = rng.standard_normal(products.shape).astype(np.float32)
    tokens, rows = make_pairs().tokens.take(np.arange(queries)), slice(queries)
    words = make_pairs().tokens.take(np.arange(20) % 12)  # of each product
    return ScoredCandidates(tokens, products[rows], scores[rows] > 0.5, scores[rows], words)


def make_loader(batch=4, **options):
    return CandidateLoader(make_table(), MemoryStore(20), batch, seed=3, **options)


def rows_of(batch):
    """Everything that a batch says about each candidate, without its order of products."""
    parts = batch.regions.features.split(batch.regions.lengths.tolist())
    return [
        [
            (parts[idx], clicked, teacher)
            for idx, real, clicked, teacher in zip(*columns, strict=True)
            if real
        ]
        for columns in zip(
            batch.candidate_idx.tolist(), batch.mask.tolist(), batch.clicked.tolist(),
            batch.teacher.tolist(), strict=True,
        )
    ]  # fmt: skip


def test_a_batch_holds_the_candidates_of_its_queries():
    loader, table, store = make_loader(), make_table(), MemoryStore(20)
    seen = []
    for step, batch in enumerate(loader.epoch(0)):
        rows = loader.plan(0)[step]
        seen += rows.tolist()
        assert torch.equal(batch.queries.ids, table.tokens.block(rows).ids)
        assert len(batch.regions) == len({p for p in table.products[rows].flatten() if p >= 0})
        for row, found in zip(rows, rows_of(batch), strict=True):
            real = table.products[row] >= 0
            assert len(found) == real.sum()
            expected = zip(table.products[row], table.clicked[row], table.teacher[row], strict=True)
            expected = [triple for triple in expected if triple[0] >= 0]
            for (features, *labels), (product, *others) in zip(found, expected, strict=True):
                assert torch.equal(features, torch.from_numpy(store.features[product]))
                assert labels == pytest.approx(others)
    assert len(seen) == len(set(seen)) == 8  # 11 queries fill two batches


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_can_start_at_any_step_and_differs_from_the_next(workers):
    whole = list(make_loader(3, workers=workers).epoch(1))
    rest = list(make_loader(3, workers=workers).epoch(1, start=2))
    assert len(whole) == 3
    assert torch.equal(rest[0].teacher, whole[2].teacher)
    assert not np.array_equal(make_loader().plan(0), make_loader().plan(1))


def test_two_processes_share_the_batch_of_one():
    for step in range(2):
        alone = make_loader().read(0, step)
        halves = [make_loader(rank=rank, size=2).read(0, step) for rank in range(2)]
        assert torch.equal(torch.cat([half.teacher for half in halves]), alone.teacher)
        assert torch.equal(torch.cat([half.queries.ids for half in halves]), alone.queries.ids)


def test_batches_that_cannot_be_made_are_errors():
    with pytest.raises(UsageError, match="a batch of 5 cannot be divided equally among 2"):
        make_loader(5, size=2)
    with pytest.raises(DataError, match="two different queries"):
        CandidateLoader(make_table(1), MemoryStore(20), 4, seed=3)
    assert make_loader(100).batch == QUERIES


def test_a_sample_takes_clicked_candidates_first_and_padding_last():
    table = make_table()
    for step in range(2):
        whole, part = make_loader().read(0, step), make_loader(sample=3).read(0, step)
        assert part.mask.shape == (4, 3)
        for row, idx in enumerate(make_loader().plan(0)[step]):
            real, clicked = (
                table.products[idx] >= 0,
                table.clicked[idx] & (table.products[idx] >= 0),
            )
            assert part.mask[row].sum() == min(3, real.sum())
            taken = (part.clicked[row] & part.mask[row]).sum()
            assert taken == min(3, clicked.sum())
            assert set(part.teacher[row].tolist()) <= set(whole.teacher[row].tolist())
        halves = [make_loader(sample=3, rank=rank, size=2).read(0, step) for rank in range(2)]
        assert torch.equal(torch.cat([half.teacher for half in halves]), part.teacher)
    assert not torch.equal(
        make_loader(sample=2).read(0, 0).teacher, make_loader(sample=2).read(1, 0).teacher
    )


def test_a_batch_holds_the_words_of_its_products():
    batch, store = make_loader().read(0, 0), make_table().product_words
    assert len(batch.product_words) == len(batch.regions)
    known = store.block(np.arange(20)).ids.tolist()
    assert all(ids in known for ids in batch.product_words.ids.tolist())
