"""The words of products' texts, and which of them a shopper would use.

Brands, model numbers and other names are known by how few products have them: a word is used in
queries if enough products share it. Nothing else is known about words, so any language will do;
that an English plural is the same word as its singular is all that is added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shopsight.config import QueryGenerationConfig
from shopsight.text.normalise import normalise, words
from shopsight.text.stopwords import stop_words

_KEEP_LAST = 0.75
_KEPT_S = ("ss", "us", "is")
_ES = ("sses", "xes", "ches", "shes", "zes")


def singular(word: str) -> str:
    """A word without the ending of an English plural, as far as its letters tell.

    >>> [singular(one) for one in ("shoes", "dresses", "dress", "watches", "jeans", "bus", "as")]
    ['shoe', 'dress', 'dress', 'watch', 'jean', 'bus', 'as']
    """
    if len(word) <= 3 or not word.endswith("s") or word.endswith(_KEPT_S):
        return word
    return word[:-2] if word.endswith(_ES) else word[:-1]


def key_of(text: str) -> tuple[str, ...]:
    """What makes two queries the same: their words in no order, plurals as singulars.

    >>> key_of("Red shoes for women") == key_of("women red shoe")
    True
    """
    stop = stop_words()
    found = words(text)
    content = {singular(word) for word in found if word not in stop} or set(found)
    return tuple(sorted(content)) or (normalise(text),)


@dataclass(frozen=True)
class ProductWords:
    """The words of P products.

    Attributes:
        words: (P,) each product's distinct words as written, in their order.
        used: the words, as singulars, that queries are made of.
    """

    words: list[list[str]]
    used: frozenset[str]

    @classmethod
    def of(cls, texts: Sequence[str], config: QueryGenerationConfig) -> ProductWords:
        """Read the texts of all products."""
        stop = stop_words()
        found = [_distinct(word for word in words(text) if word not in stop) for text in texts]
        frequency = Counter(singular(word) for one in found for word in one)
        least = max(config.word_products, config.word_fraction * len(texts))
        used = frozenset(
            word
            for word, products in frequency.items()
            if products >= least and any(map(str.isalpha, word))
        )
        return cls(found, used)

    @cached_property
    def sets(self) -> list[frozenset[str]]:
        """(P,) each product's words, as singulars."""
        return [frozenset(map(singular, one)) for one in self.words]

    @cached_property
    def places(self) -> dict[str, set[int]]:
        """The products that have each word, as a singular."""
        found: dict[str, set[int]] = {}
        for product, one in enumerate(self.sets):
            for word in one:
                found.setdefault(word, set()).add(product)
        return found

    def having(self, word: str) -> set[int]:
        """The products that have a word, as a singular."""
        return self.places.get(word, set())

    def having_all(self, key: Iterable[str]) -> set[int]:
        """The products that have all words of a query."""
        found = sorted((self.having(word) for word in key), key=len)
        return set.intersection(*found) if found else set()

    def head_of(self, key: Sequence[str]) -> str:
        """Which word of a query says what kind of thing is asked for.

        It is the one that most often is the last word that counts of a text that has it, as
        English head nouns are.
        """
        return max(sorted(key), key=lambda word: self._lasts[word] / (len(self.having(word)) or 1))

    @cached_property
    def _lasts(self) -> Counter[str]:
        cleaned = map(self.clean, range(len(self.words)))
        return Counter(singular(one[-1]) for one in cleaned if one)

    def clean(self, product: int) -> list[str]:
        """A product's words that queries are made of, in their order."""
        return [word for word in self.words[product] if singular(word) in self.used]


def made_up_queries(
    words: Sequence[str], config: QueryGenerationConfig, seed: Sequence[int]
) -> list[str]:
    """What shoppers might type to find a product: some of its words, mostly in their order.

    The last word, in English titles mostly the kind of thing it is, is kept more often than not.

    Args:
        words: the words to choose from.
        config: how many queries, and of how many words.
        seed: of this product.
    """
    if not words:
        return []
    rng = np.random.default_rng(seed)
    made: dict[str, None] = {}
    for _ in range(2 * config.queries_per_product):
        count = int(rng.integers(config.least_words, config.most_words + 1))
        chosen = rng.permutation(len(words))[:count].tolist()
        if len(words) - 1 not in chosen and rng.random() < _KEEP_LAST:
            chosen[0] = len(words) - 1
        if rng.random() >= config.shuffle:
            chosen.sort()
        made[" ".join(words[i] for i in chosen)] = None
        if len(made) == config.queries_per_product:
            break
    return list(made)


def _distinct(found: Iterable[str]) -> list[str]:
    kept: dict[str, str] = {}
    for word in found:
        kept.setdefault(singular(word), word)
    return list(kept.values())
