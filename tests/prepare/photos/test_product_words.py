"""Words of products, and queries made of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shopsight.config import QueryGenerationConfig
from shopsight.prepare.photos.product_words import (
    ProductWords,
    generate_queries,
    query_key,
)

TEXTS = [
    "Acme Zx100 Red Summer Dress",
    "Acme Blue Dresses for Women",
    "Bella red shoe",
    "Corda blue shoes - women's",
    "Delta 100 red dress",
]


def test_rare_words_are_left_out_of_queries():
    product_words = ProductWords.from_texts(
        TEXTS, QueryGenerationConfig(word_products=2, word_fraction=0)
    )
    assert product_words.vocabulary == {"acme", "red", "blue", "dress", "shoe", "women"}
    assert product_words.query_words(0) == ["acme", "red", "dress"]
    assert product_words.query_words(3) == ["blue", "shoes", "women"]
    assert product_words.query_words(4) == ["red", "dress"]


def test_the_share_of_products_counts_too():
    product_words = ProductWords.from_texts(
        TEXTS, QueryGenerationConfig(word_products=1, word_fraction=0.5)
    )
    assert product_words.vocabulary == {"red", "dress"}


def test_numbers_are_never_used():
    product_words = ProductWords.from_texts(
        ["a 100", "b 100", "c 100"], QueryGenerationConfig(word_products=1)
    )
    assert "100" not in product_words.vocabulary


def test_products_with_all_words():
    product_words = ProductWords.from_texts(TEXTS, QueryGenerationConfig())
    assert product_words.with_all(query_key("dresses red")) == {0, 4}
    assert product_words.with_all(query_key("women blue")) == {1, 3}
    assert product_words.with_all(["unknown"]) == set()
    assert product_words.with_all([]) == set()


def test_the_kind_of_thing_is_the_word_that_is_mostly_last():
    texts = ["red dress", "blue dress", "dress red", "red shoe", "blue shoe", "green shoe"]
    product_words = ProductWords.from_texts(texts, QueryGenerationConfig(word_products=1))
    assert product_words.head_noun(query_key("dress blue")) == "dress"
    assert product_words.head_noun(query_key("shoe red")) == "shoe"
    assert product_words.head_noun(["unknown"]) == "unknown"


def test_queries_are_subsets_of_the_words():
    words = ["long", "red", "silk", "evening", "dress"]
    config = QueryGenerationConfig(queries_per_product=50, min_words=2, max_words=3, shuffle=0.5)
    queries = [query.split() for query in generate_queries(words, config, [0])]
    assert len(queries) > 20
    assert all(2 <= len(query) <= 3 and set(query) <= set(words) for query in queries)
    assert all(len(set(query)) == len(query) for query in queries)
    with_noun = sum("dress" in query for query in queries)
    assert with_noun > len(queries) / 2
    in_order = sum(query == sorted(query, key=words.index) for query in queries)
    assert len(queries) / 3 < in_order < len(queries)


def test_queries_are_in_order_without_shuffling():
    config = QueryGenerationConfig(queries_per_product=20, shuffle=0)
    words = ["long", "red", "silk", "dress"]
    for query in generate_queries(words, config, [1]):
        assert query.split() == sorted(query.split(), key=words.index)


def test_few_words_give_few_queries():
    config = QueryGenerationConfig(min_words=2)
    assert generate_queries([], config, [0]) == []
    assert generate_queries(["dress"], config, [0]) == ["dress"]


def test_queries_depend_on_the_seed_alone():
    words = ["long", "red", "silk", "dress"]
    expected = [generate_queries(words, QueryGenerationConfig(), [0, i]) for i in range(20)]
    assert expected == [generate_queries(words, QueryGenerationConfig(), [0, i]) for i in range(20)]
    assert len({tuple(queries) for queries in expected}) > 5


@given(st.text(max_size=30))
def test_keys_never_fail_and_keep_their_order_out(text):
    key = query_key(text)
    assert key
    assert key == tuple(sorted(key))
    assert query_key(" ".join(reversed(text.split()))) == key or not text.isascii()
