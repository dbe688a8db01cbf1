from dataclasses import replace

import pytest
import torch

from shopsight.batches.batch import PairBatch, Regions, pad_tokens
from shopsight.batches.false_negatives import positive_mask, subset_mask

UNK = torch.tensor([1])


def batch():
    """Queries 0 and 2 are the same; product 1 was clicked for queries 1 and 3."""
    regions = Regions(torch.zeros(3, 2), torch.zeros(3, 5), torch.tensor([1, 1, 1]))
    return PairBatch(
        regions=regions,
        queries=pad_tokens([[4, 5], [6], [4, 5], [7, 1]], 0),
        product_idx=torch.tensor([0, 1, 2, 1]),
        query_keys=torch.tensor([9, 3, 9, 8]),
        product_keys=torch.tensor([50, 60, 70]),
        product_words=pad_tokens([[4, 5, 6], [6, 7], [4, 5]], 0),
    )


def test_clicks_of_the_same_query_are_positives():
    expected = [[True, False, True], [False, True, False]]
    mask = positive_mask(batch(), "duplicates", UNK)
    assert mask.tolist() == [*expected[:2], expected[0], expected[1]]


def test_products_with_all_words_are_positives():
    mask = positive_mask(batch(), "subset", UNK)
    assert mask.tolist() == [
        [True, False, True],
        [True, True, False],  # 6 is among the words of product 0
        [True, False, True],
        [False, True, False],
    ]


def test_the_subset_rule_needs_the_words():
    with pytest.raises(ValueError, match="product_words"):
        positive_mask(replace(batch(), product_words=None), "subset", UNK)


def test_subsets_equal_those_of_python_sets():
    generator = torch.Generator().manual_seed(0)
    lists = [
        [torch.randint(1, 9, (int(n),), generator=generator).tolist() for n in sizes]
        for sizes in (torch.randint(1, 4, (40,)), torch.randint(1, 9, (30,)))
    ]
    queries, products = lists
    expected = [[bool(set(q) - {1}) and set(q) - {1} <= set(p) for p in products] for q in queries]
    mask = subset_mask(pad_tokens(queries, 0), pad_tokens(products, 2), UNK)
    assert mask.tolist() == expected
    assert 5 < mask.sum() < 1000


def test_padding_is_not_a_word():
    assert not subset_mask(pad_tokens([[4, 5]], 0), pad_tokens([[4], [6, 7]], 5), UNK).any()
    assert not subset_mask(pad_tokens([[1]], 0), pad_tokens([[1]], 0), UNK).any()
