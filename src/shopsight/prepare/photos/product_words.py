"""Words of product texts, and the queries that can be generated from them.

Brands and model numbers cannot be predicted from photos. They are recognised by rarity alone: a
word is used in queries if enough products share it. No word list is involved, so any language
works; only English plurals get special treatment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shopsight.config import QueryGenerationConfig
from shopsight.text.normalise import normalise, singular, words
from shopsight.text.stopwords import stop_words

_KEEP_LAST = 0.75


def query_key(text: str) -> tuple[str, ...]:
    """The identity of a query: its sorted content words as singulars.

    >>> query_key("Red shoes for women") == query_key("women red shoe")
    True
    """
    stop = stop_words()
    tokens = words(text)
    content = {singular(word) for word in tokens if word not in stop} or set(tokens)
    return tuple(sorted(content)) or (normalise(text),)


@dataclass(frozen=True)
class ProductWords:
    """Words of P products."""

    words: list[list[str]]  # (P,) distinct, as written, in text order
    vocabulary: frozenset[str]  # singulars that generated queries may contain

    @classmethod
    def from_texts(cls, texts: Sequence[str], config: QueryGenerationConfig) -> ProductWords:
        """The words of (P,) product texts."""
        stop = stop_words()
        product_words = [
            _distinct(word for word in words(text) if word not in stop) for text in texts
        ]
        frequency = Counter(singular(word) for tokens in product_words for word in tokens)
        least = max(config.word_products, config.word_fraction * len(texts))
        vocabulary = frozenset(
            word
            for word, products in frequency.items()
            if products >= least and any(map(str.isalpha, word))
        )
        return cls(product_words, vocabulary)

    @cached_property
    def word_sets(self) -> list[frozenset[str]]:
        """(P,) each product's words, as singulars."""
        return [frozenset(map(singular, tokens)) for tokens in self.words]

    @cached_property
    def _products_by_word(self) -> dict[str, set[int]]:
        products: dict[str, set[int]] = {}
        for product, tokens in enumerate(self.word_sets):
            for word in tokens:
                products.setdefault(word, set()).add(product)
        return products

    def with_word(self, word: str) -> set[int]:
        """The products whose text contains a word (a singular)."""
        return self._products_by_word.get(word, set())

    def with_all(self, key: Iterable[str]) -> set[int]:
        """The products whose text contains every word of a query."""
        # The rarest word first keeps the intermediate intersections small.
        products = sorted((self.with_word(word) for word in key), key=len)
        return set.intersection(*products) if products else set()

    def head_noun(self, key: Sequence[str]) -> str:
        """The head noun of a query: its word that most often ends the texts that contain it.

        English noun phrases end with their head; no part-of-speech tagger is needed.
        """
        return max(
            sorted(key),
            key=lambda word: self._last_word_counts[word] / (len(self.with_word(word)) or 1),
        )

    @cached_property
    def _last_word_counts(self) -> Counter[str]:
        usable = map(self.query_words, range(len(self.words)))
        return Counter(singular(tokens[-1]) for tokens in usable if tokens)

    def query_words(self, product: int) -> list[str]:
        """A product's words that may appear in queries, in text order."""
        return [word for word in self.words[product] if singular(word) in self.vocabulary]


def generate_queries(
    words: Sequence[str], config: QueryGenerationConfig, seed: Sequence[int]
) -> list[str]:
    """Plausible queries for one product: random subsets of its words, mostly in text order.

    The last word, in English titles mostly the head noun, is kept more often than the others.
    """
    if not words:
        return []
    rng = np.random.default_rng(seed)
    queries: dict[str, None] = {}
    # Few words allow few distinct subsets, so the number of draws is bounded.
    for _ in range(2 * config.queries_per_product):
        count = int(rng.integers(config.min_words, config.max_words + 1))
        chosen = rng.permutation(len(words))[:count].tolist()
        if len(words) - 1 not in chosen and rng.random() < _KEEP_LAST:
            chosen[0] = len(words) - 1
        if rng.random() >= config.shuffle:
            chosen.sort()
        queries[" ".join(words[i] for i in chosen)] = None
        if len(queries) == config.queries_per_product:
            break
    return list(queries)


def _distinct(tokens: Iterable[str]) -> list[str]:
    by_singular: dict[str, str] = {}
    for word in tokens:
        by_singular.setdefault(singular(word), word)
    return list(by_singular.values())
