import pytest

from shopsight.text.normalise import normalise
from shopsight.text.stopwords import stop_words

KEPT = """
men women boys girls kids baby male female her his him small large mini big long short top
bottom without no not off over under up down out one two all more most few can will may us own
other back front low high new
"""


@pytest.mark.parametrize("word", KEPT.split())
def test_words_that_tell_products_apart_stay(word):
    assert word not in stop_words()


@pytest.mark.parametrize("word", ["-", "'", "s", "the", "a", "and", "of", "for", "with", "to"])
def test_function_words_are_in_the_list(word):
    assert word in stop_words()


def test_comment_lines_are_not_stop_words():
    assert "#" not in stop_words()
    assert not any(word.startswith("#") for word in stop_words())


def test_the_list_is_short_and_normal():
    assert 60 <= len(stop_words()) <= 120
    assert all(normalise(word) == word and " " not in word for word in stop_words())
