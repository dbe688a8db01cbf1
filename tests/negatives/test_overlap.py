import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negatives.queries import QUERIES, zipf_queries
from shopsight.negatives.overlap import WEIGHT_STEPS, idf_weights, overlap_neighbours
from shopsight.negatives.words import index_words
from shopsight.text.normalise import words

ALL_POSTINGS = 10_000


def naive_neighbours(texts, count):
    """Compare every pair of queries, word by word."""
    sets = [set(words(text)) for text in texts]
    df = {word: sum(word in text for text in sets) for text in sets for word in text}
    weight = {word: round(np.log(1 + len(texts) / n) * WEIGHT_STEPS) for word, n in df.items()}
    rows = []
    for i, own in enumerate(sets):
        scores = [(-sum(weight[w] for w in own & other), j) for j, other in enumerate(sets)]
        best = sorted((s, j) for s, j in scores if s < 0 and j != i)[:count]
        rows.append([j for _, j in best] + [-1] * (count - len(best)))
    return rows


def overlap(texts, count=5, postings=ALL_POSTINGS, seed=0, workers=1):
    rng = np.random.default_rng(seed)
    return overlap_neighbours(index_words(texts), count, postings, rng, workers)


def test_overlap_by_hand():
    texts = ["red dress", "blue dress", "red shoes", "lamp"]
    assert overlap(texts, 2).tolist() == [[1, 2], [0, -1], [0, -1], [-1, -1]]


def test_rare_words_weigh_more():
    texts = ["silk dress", "old dress", "new dress", "silk scarf"]
    assert overlap(texts, 3)[0].tolist() == [3, 1, 2]


@given(QUERIES, st.integers(1, 6))
def test_overlap_equals_all_pairs(texts, count):
    assert overlap(texts, count).tolist() == naive_neighbours(texts, count)


def test_overlap_over_several_blocks_equals_all_pairs():
    texts = zipf_queries(1_300)
    assert overlap(texts, 7, workers=2).tolist() == naive_neighbours(texts, 7)


def test_long_queries_are_compared_by_all_their_words():
    long = " ".join(f"w{i}" for i in range(40))
    texts = [long, f"{long} x", "w3 x", "w39 y"]
    assert overlap(texts, 3).tolist() == naive_neighbours(texts, 3)


def test_sampled_neighbours_are_nearly_the_best():
    texts = zipf_queries(1_000)
    sets = [set(words(text)) for text in texts]
    sampled, exact = overlap(texts, 10, postings=16), np.array(naive_neighbours(texts, 10))
    weight = idf_weights(index_words(texts)) / WEIGHT_STEPS
    name = {w: weight[i] for i, w in enumerate(dict.fromkeys(w for t in texts for w in words(t)))}

    def shared(neighbours):
        return sum(
            name[w]
            for i, row in enumerate(neighbours)
            for j in row
            if j >= 0
            for w in sets[i] & sets[j]
        )

    assert all(sets[i] & sets[j] for i, row in enumerate(sampled) for j in row if j >= 0)
    assert not (sampled == np.arange(len(texts))[:, None]).any()
    assert 0.9 * shared(exact) < shared(sampled) < shared(exact)


def test_samples_depend_on_the_seed_but_not_on_the_threads():
    texts = zipf_queries(1_100)
    first = overlap(texts, postings=4, seed=1)
    assert (first == overlap(texts, postings=4, seed=1, workers=3)).all()
    assert (first != overlap(texts, postings=4, seed=2)).any()


@pytest.mark.parametrize("texts", [[""], ["$", ")"], ["dress"], ["red", "blue"]])
def test_without_shared_words_there_are_no_neighbours(texts):
    assert (overlap(texts) == -1).all()
