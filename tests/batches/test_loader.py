from dataclasses import replace

import numpy as np
import pytest
import torch

from shopsight.batches.loader import Loader
from shopsight.config import NegativesConfig
from shopsight.errors import DataError, UsageError
from shopsight.training.distributed import DistributedContext
from training.standin import TEXTS, MemoryStore, make_loader, make_pairs


def tensors(batch):
    return [
        batch.regions.features,
        batch.regions.lengths,
        batch.queries.ids,
        batch.queries.mask,
        batch.product_idx,
        batch.query_keys,
        batch.product_keys,
        batch.negative_queries.ids,
        batch.negative_product_idx,
    ]


def same(first, second):
    pairs = zip(tensors(first), tensors(second), strict=True)
    return all(torch.equal(left, right) for left, right in pairs)


def products_of(batch):
    return batch.product_keys[batch.product_idx]


def test_a_batch_holds_clicks_and_true_negatives():
    pairs, store, loader = make_pairs(), MemoryStore(20), make_loader()
    batches = list(loader.epoch(0))
    assert len(batches) == loader.steps(0) >= 10
    clicks = set(zip(pairs.texts.tolist(), pairs.products.tolist(), strict=True))
    for batch in batches:
        assert len(set(batch.query_keys.tolist())) == len(batch) == 4
        rows = zip(batch.query_keys.tolist(), products_of(batch).tolist(), strict=True)
        assert clicks.issuperset(rows)
        expected = pairs.tokens.block(batch.query_keys.numpy()).ids
        assert torch.equal(batch.queries.ids, expected)
        negatives = batch.product_keys[batch.negative_product_idx].tolist()
        wrong = zip(batch.query_keys.tolist(), negatives, strict=True)
        assert clicks.isdisjoint(wrong)
        assert len(batch.product_keys) == len(set(batch.product_keys.tolist()))
        lengths = store.lengths[batch.product_keys.numpy()].tolist()
        parts = batch.regions.features.split(lengths)
        for key, part in zip(batch.product_keys.tolist(), parts, strict=True):
            assert torch.equal(part, torch.from_numpy(store.features[key]))


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_an_epoch_can_start_at_any_step(workers):
    loader, again = make_loader(workers=workers), make_loader(workers=workers)
    whole = list(loader.epoch(2))
    rest = list(again.epoch(2, start=7))
    assert len(rest) == len(whole) - 7 > 0
    assert all(same(left, right) for left, right in zip(whole[7:], rest, strict=True))
    assert not same(whole[0], next(loader.epoch(1)))


def test_the_global_batch_does_not_depend_on_the_number_of_processes():
    whole = list(make_loader().epoch(1))
    halves = [list(make_loader(DistributedContext(rank, 2)).epoch(1)) for rank in (0, 1)]
    for batch, first, second in zip(whole, *halves, strict=True):
        assert torch.equal(batch.query_keys, torch.cat([first.query_keys, second.query_keys]))
        assert torch.equal(products_of(batch), torch.cat([products_of(first), products_of(second)]))
        for name in ("product_keys", "negative_product_idx"):
            assert len(getattr(first, name)) > 0
        negatives = [b.product_keys[b.negative_product_idx] for b in (batch, first, second)]
        assert torch.equal(negatives[0], torch.cat(negatives[1:]))
        others = [b.negative_queries.ids for b in (batch, first, second)]
        assert torch.equal(others[0], torch.cat(others[1:]))


def test_a_batch_is_divided_equally_among_processes():
    with pytest.raises(
        UsageError, match=r"a batch of 4 cannot be divided equally among 3 processes"
    ):
        make_loader(DistributedContext(0, 3))
    with pytest.raises(UsageError, match=r"the data's 12 distinct queries of 12 cannot be divided"):
        make_loader(DistributedContext(0, 5), batch=100)
    assert make_loader(batch=100).batch == len(TEXTS)


def test_a_single_distinct_query_is_an_error():
    pairs = make_pairs()
    single = replace(pairs, queries=pairs.queries * 0, texts=pairs.texts * 0)
    with pytest.raises(DataError, match="two different queries"):
        Loader(single, MemoryStore(20), 4, seed=0)


def test_without_negatives_only_clicked_products_are_read():
    batch = next(make_loader(negatives=None).epoch(0))
    assert batch.negative_queries is None
    assert batch.negative_product_idx is None
    assert sorted(batch.product_idx.unique().tolist()) == list(range(len(batch.product_keys)))


def test_product_words_are_those_of_all_clicked_queries():
    pairs = make_pairs()
    batch = next(make_loader(with_words=True).epoch(0))
    rows = zip(batch.product_words.ids, batch.product_words.mask, strict=True)
    for key, (ids, mask) in zip(batch.product_keys.tolist(), rows, strict=True):
        texts = np.unique(pairs.texts[pairs.products == key])
        expected = set(pairs.tokens.block(texts).ids.ravel().tolist())
        assert ids[mask].tolist() == sorted(expected)


def test_a_fraction_of_the_batches_holds_one_group():
    labels = make_pairs().groups.last_word

    def single_group(loader, epoch):
        keys = [batch.query_keys.numpy() for batch in loader.epoch(epoch)]
        return sum(len(set(labels[key])) == 1 for key in keys) / len(keys)

    options = {"group_labels": labels, "hard_from_epoch": 1, "batch": 3}
    all_hard = make_loader(hard_fraction=1.0, **options)
    half_hard = make_loader(hard_fraction=0.5, **options)
    assert single_group(all_hard, 0) < 0.4
    assert single_group(all_hard, 1) > 0.7
    assert 0.3 < single_group(half_hard, 1) < 0.75


def test_random_negatives_come_from_all_groups():
    pairs = make_pairs()
    sampler = pairs.sampler("random", NegativesConfig())
    rng = np.random.default_rng(0)
    drawn = sampler.draw(pairs.queries.repeat(20), pairs.products.repeat(20), rng)
    same_group = pairs.groups.last_word[drawn.queries] == pairs.groups.last_word[
        pairs.texts
    ].repeat(20)
    assert 0.15 < same_group.mean() < 0.4  # a third of the queries, minus the query itself
    hard = pairs.sampler("cluster", NegativesConfig()).draw(pairs.queries, pairs.products, rng)
    same_group = pairs.groups.last_word[hard.queries] == pairs.groups.last_word[pairs.texts]
    assert same_group.mean() > 0.6


def test_closing_an_epoch_early_ends_its_threads():
    import threading

    before = threading.active_count()
    for _ in range(5):
        batches = make_loader(workers=2).epoch(0)
        next(batches)
        batches.close()
    assert threading.active_count() == before


def test_errors_of_reader_threads_are_raised():
    class Broken(MemoryStore):
        def read(self, indices):
            raise DataError("the store is gone")

    loader = Loader(make_pairs(), Broken(20), 4, seed=0, workers=2)
    with pytest.raises(DataError, match="the store is gone"):
        next(loader.epoch(0))
