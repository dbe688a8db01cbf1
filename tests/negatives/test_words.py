from hypothesis import given

from negatives.queries import QUERIES
from shopsight.negatives.words import index_words
from shopsight.text.normalise import last_word


@given(QUERIES)
def test_last_words(texts):
    queries = index_words(texts)
    names = [queries.last_word_names[group] for group in queries.last_words]
    assert names == [last_word(text) for text in texts]
    assert len(set(queries.last_word_names)) == len(queries.last_word_names) == len(set(names))
