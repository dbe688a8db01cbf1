import numpy as np

from shopsight.text.recombine import recombined

TEXTS = ["red dress", "long blue dress", "black leather shoes", "white shoes", "sofa", "red sofa"]


def make(count, texts=TEXTS, seed=0):
    return recombined(texts, count, np.random.default_rng(seed))


def test_words_come_from_two_queries_with_the_same_last_word():
    made = make(3)
    assert len(made) == len(set(made)) == 3
    assert not set(made) & set(TEXTS)
    for text in made:
        *words, last = text.split()
        group = [other.split() for other in TEXTS if other.split()[-1] == last]
        known = {word for other in group for word in other[:-1]}
        assert set(words) <= known
        assert len(words) + 1 in {len(other) for other in group}


def test_the_seed_decides():
    assert make(3) == make(3)
    assert any(make(3, seed=seed) != make(3) for seed in range(1, 5))


def test_fewer_come_out_where_the_words_allow_no_more():
    assert 0 < len(make(1000)) < 20
    assert make(5, ["sofa", "red lamp"]) == []
    assert make(5, ["", "sofa"]) == []
    assert make(0) == []
