from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopsight.config import NegativesConfig
from shopsight.errors import DataError
from shopsight.negatives.groups import QueryGroups
from shopsight.negatives.sampler import NegativeSampler

SOURCES = ("cluster", "mixed", "overlap")


def rng(seed=0):
    return np.random.default_rng(seed)


def grouped(last_words, clusters=None, neighbours=None):
    """Groups of distinct texts, by their labels."""
    count = len(last_words)
    own = np.arange(count, dtype=np.int32)
    clusters = [0] * count if clusters is None else clusters
    neighbours = [[-1]] * count if neighbours is None else neighbours
    as_array = [np.array(labels, np.int32) for labels in (last_words, clusters, neighbours)]
    return QueryGroups(own, own, *as_array, {})


@st.composite
def click_data(draw):
    """Up to ten queries, some equal, with clicks that leave few negatives or none."""
    count = draw(st.integers(1, 6))
    texts = draw(st.lists(st.integers(0, count - 1), max_size=4).map(lambda t: [*range(count), *t]))
    labels = st.lists(st.integers(0, 2), min_size=count, max_size=count)
    others = st.lists(st.integers(-1, count - 1), min_size=2, max_size=2)
    groups = grouped(draw(labels), draw(labels), [draw(others) for _ in range(count)])
    groups = replace(groups, text=np.array(texts, np.int32))
    pair = st.tuples(st.integers(0, len(texts) - 1), st.integers(0, draw(st.integers(0, 5))))
    pairs = draw(st.lists(pair, min_size=1, max_size=20))
    fraction = draw(st.sampled_from([0.0, 0.8, 1.0]))
    config = NegativesConfig(tries=draw(st.integers(0, 3)), last_word_fraction=fraction)
    return groups, np.array(pairs, np.int64), config, draw(st.sampled_from(SOURCES))


def is_possible(clicked):
    """True if every clicked pair has a negative query and a negative product."""
    texts, products = {text for text, _ in clicked}, {product for _, product in clicked}
    return all(
        any((other, product) not in clicked for other in texts)
        and any((text, other) not in clicked for other in products)
        for text, product in clicked
    )


@settings(max_examples=500)
@given(click_data(), st.integers(0, 3))
def test_negatives_are_never_positives(clicks, seed):
    groups, pairs, config, source = clicks
    queries, products = np.repeat(pairs, 5, axis=0).T
    clicked = {(int(groups.text[q]), int(p)) for q, p in pairs}
    if not is_possible(clicked):
        with pytest.raises(DataError, match="negative"):
            NegativeSampler(groups, queries, products, config, source)
        return
    sampler = NegativeSampler(groups, queries, products, config, source)
    drawn = sampler.draw(queries, products, rng(seed))
    for q, p, other, negative in zip(queries, products, *drawn, strict=True):
        assert groups.text[other] != groups.text[q]
        assert (groups.text[other], p) not in clicked
        assert groups.text[other] in {text for text, _ in clicked}
        assert (groups.text[q], negative) not in clicked
        assert negative in products
    again = sampler.draw(queries, products, rng(seed))
    assert (drawn.queries == again.queries).all()
    assert (drawn.products == again.products).all()


def draw_many(source, fraction=0.8):
    """400 queries in 10 last words and 4 clusters across them, one product each, as numbered."""
    number = np.arange(400)
    neighbours = (number[:, None] + np.arange(1, 4)) % 400
    groups = grouped(number % 10, number // 10 % 4, neighbours)
    config = NegativesConfig(last_word_fraction=fraction)
    queries = np.tile(number, 50)
    drawn = NegativeSampler(groups, number, number, config, source).draw(queries, queries, rng())
    return groups, queries, drawn


@pytest.mark.parametrize("source", ["cluster", "mixed"])
@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.8, 1.0])
def test_the_fraction_of_the_same_last_word(source, fraction):
    groups, queries, drawn = draw_many(source, fraction)
    # Negatives from elsewhere have the same last word by chance, one time in ten.
    expected = fraction + (1 - fraction) * 0.1
    for negatives in drawn:
        same = groups.last_word[negatives] == groups.last_word[queries]
        assert same.mean() == pytest.approx(expected, abs=0.012)


@pytest.mark.parametrize(("source", "expected"), [("cluster", 1), ("mixed", 0.625)])
def test_other_negatives_are_from_the_cluster_or_half_from_all_queries(source, expected):
    groups, queries, drawn = draw_many(source, fraction=0.0)
    for negatives in drawn:
        same = groups.cluster[negatives] == groups.cluster[queries]
        assert same.mean() == pytest.approx(expected, abs=0.012)


def test_overlap_negatives_are_neighbours():
    _, queries, drawn = draw_many("overlap", fraction=1.0)
    for negatives in drawn:
        assert np.unique((negatives - queries) % 400, return_counts=True)[0].tolist() == [1, 2, 3]


def test_members_of_a_group_are_drawn_uniformly():
    _, queries, drawn = draw_many("cluster", fraction=1.0)
    counts = np.bincount(drawn.queries[queries % 10 == 3], minlength=400)[3::10]
    assert counts.sum() == 2_000
    assert counts.min() > 20


def test_negative_query_and_product_come_from_the_same_kind_of_group():
    groups = grouped([0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2])
    number = np.arange(6)
    sampler = NegativeSampler(groups, number, number)
    drawn = sampler.draw(np.repeat(number, 100), np.repeat(number, 100), rng())
    last_words = np.repeat(groups.last_word, 100)
    query_same, product_same = (groups.last_word[n] == last_words for n in drawn)
    assert (query_same == product_same).all()
    assert 0.7 < query_same.mean() < 0.9


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (grouped([0, 1, 1, 1], [0, 0, 1, 1], [[3], [0], [0], [0]]), 3),
        (grouped([0, 0, 1, 1], [0, 1, 0, 1]), 1),
        (grouped([0, 1, 0, 1], [0, 1, 0, 1], [[1], [-1], [-1], [-1]]), 2),
        (grouped([0, 1, 1, 1], [0, 1, 0, 1]), 2),
    ],
    ids=["neighbour", "last word", "neighbour is positive", "cluster"],
)
def test_a_group_without_negatives_gives_way_to_the_next_wider_one(groups, expected):
    # Product 0 is clicked for queries 0 and 1 where query 1 must not be a negative.
    positive = expected == 2
    queries = np.array([0, 1, 2, 3] + [1] * positive)
    products = np.array([0, 1, 2, 3] + [0] * positive)
    config = NegativesConfig(last_word_fraction=1.0)
    sampler = NegativeSampler(groups, queries, products, config, "overlap")
    drawn = sampler.draw(np.zeros(20, np.int64), np.zeros(20, np.int64), rng())
    assert set(drawn.queries) == {expected}


def test_a_single_negative_among_thousands_is_found_by_scanning():
    count = 10_000
    groups = grouped([0] * count)
    last = count - 1
    queries = np.append(np.arange(count), last)
    products = np.where(queries == last, 2, 1)
    products[0], config = 1, NegativesConfig(tries=1)
    sampler = NegativeSampler(groups, queries, products, config)
    drawn = sampler.draw(np.zeros(3, np.int64), np.ones(3, np.int64), rng())
    assert drawn.queries.tolist() == [last] * 3
    assert drawn.products.tolist() == [2] * 3


def test_an_empty_batch_has_no_negatives():
    empty = np.zeros(0, np.int64)
    drawn = NegativeSampler(grouped([0, 0]), np.arange(2), np.arange(2)).draw(empty, empty, rng())
    assert len(drawn.queries) == len(drawn.products) == 0


@pytest.mark.parametrize(
    ("queries", "products", "sentence"),
    [
        ([], [], "no clicked pairs"),
        ([0, 0], [0, 1], "all clicked queries are the same query"),
        ([0, 0, 1], [0, 1, 1], "query 0 has no negative product: every product was clicked for it"),
        (
            [0, 1, 2, 0, 1],
            [5, 5, 5, 3, 4],
            "product 5 has no negative query: it was clicked for every query",
        ),
    ],
)
def test_clicks_without_negatives_are_an_error(queries, products, sentence):
    with pytest.raises(DataError, match=sentence):
        NegativeSampler(grouped([0, 0, 0]), np.array(queries, int), np.array(products, int))


def test_a_pair_that_was_not_clicked_can_lack_a_negative():
    sampler = NegativeSampler(grouped([0, 0, 0]), np.array([0, 1]), np.array([0, 1]))
    with pytest.raises(DataError, match="pair 1 of the batch has no negative"):
        sampler.draw(np.array([0, 1]), np.array([0, 0]), rng())


def test_a_product_outside_the_range_is_a_value_error():
    sampler = NegativeSampler(grouped([0, 0]), np.arange(2), np.arange(2))
    with pytest.raises(ValueError, match="products must be from 0 to 1"):
        sampler.draw(np.array([0]), np.array([2]), rng())
