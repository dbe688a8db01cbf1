import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsight.batches.batch_sampler import distinct_batches, grouped_batches, shuffled_batches

TEXTS = st.lists(st.integers(0, 9), min_size=2, max_size=80).map(np.array)


@given(TEXTS, st.integers(1, 12), st.integers(0, 5))
def test_texts_are_distinct_in_a_batch_and_pairs_in_an_epoch(texts, size, seed):
    batches = shuffled_batches(texts, size, np.random.default_rng(seed))
    assert batches.shape[1] == min(size, len(np.unique(texts)))
    assert all(len(set(texts[batch])) == len(batch) for batch in batches)
    assert len(np.unique(batches)) == batches.size


@given(TEXTS, st.integers(1, 12), st.integers(0, 5))
def test_the_remainder_cannot_fill_a_batch(texts, size, seed):
    batches = shuffled_batches(texts, size, np.random.default_rng(seed))
    left = np.setdiff1d(np.arange(len(texts)), batches)
    assert len(np.unique(texts[left])) < batches.shape[1]


def test_without_repeated_texts_only_the_remainder_is_left_out():
    batches = shuffled_batches(np.arange(103), 10, np.random.default_rng(0))
    assert batches.shape == (10, 10)
    assert not np.array_equal(batches.ravel(), np.sort(batches.ravel()))


def test_a_frequent_text_is_in_nearly_every_batch():
    texts = np.append(np.zeros(50, int), np.arange(1, 51))
    batches = shuffled_batches(texts, 5, np.random.default_rng(0))
    assert len(batches) >= 12
    assert all((texts[batch] == 0).sum() == 1 for batch in batches[1:])


def test_the_generator_determines_the_batches():
    texts = np.arange(40)
    first, again, other = (shuffled_batches(texts, 8, np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_grouped_batches_hold_few_groups():
    texts = np.arange(400)
    labels = np.arange(400) % 4
    batches = grouped_batches(texts, labels, 20, np.random.default_rng(0))
    assert batches.shape == (20, 20)
    assert all(len(set(labels[batch])) == 1 for batch in batches)
    group_order = labels[batches[:, 0]]
    assert not np.array_equal(group_order, np.sort(group_order))


def test_small_groups_share_a_batch():
    labels = np.repeat(np.arange(30), 2)
    batches = grouped_batches(np.arange(60), labels, 6, np.random.default_rng(0))
    assert [len(set(labels[batch])) for batch in batches] == [3] * 10


@pytest.mark.parametrize("size", [1, 2, 3])
def test_distinct_texts_keep_their_order(size):
    texts = np.array([4, 2, 7, 1, 0, 3])
    expected = np.arange(6).reshape(-1, size)
    assert np.array_equal(distinct_batches(texts, np.arange(6), size), expected)
