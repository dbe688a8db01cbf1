"""Correction of misspelt words, from the words of training queries and of the products' texts."""

from __future__ import annotations

from collections.abc import Mapping

from shopsight.errors import UsageError
from shopsight.text.normalise import singular, words

_SHORTEST = 3  # letters; a shorter word has too many neighbours
_LONG = 8  # letters from which on two edits are corrected
_LONGEST = 64  # letters; the splits of a word take memory with the square of its length
_PART = 3  # letters of each part of a word that lacks a space
_CANDIDATES = 20


class Corrector:
    """Corrects queries with a dictionary: the number of uses by word.

    A word of the dictionary is never changed, nor is one with a digit, such as an article number.
    Distances count insertions, deletions, replacements and swaps of neighbours (optimal string
    alignment).

    >>> corrector = Corrector({"red": 9, "dress": 9, "dressing": 1, "handbag": 4})
    >>> [corrector.correct(text) for text in ("red drses", "reddress", "hand bag", "rde dress")]
    ['red dress', 'red dress', 'handbag', 'red dress']
    """

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._counts = {word: count for word, count in counts.items() if word.isalpha()}
        self._words = list(self._counts)
        self._known = {*counts, *map(singular, counts)}

    def correct(self, query: str) -> str:
        """The query with its unknown words replaced; as it is if there is nothing to correct."""
        written, corrected, i = query.split(), [], 0
        while i < len(written):
            pair = self._joined(written[i : i + 2])
            corrected.append(pair or self._word(written[i]))
            i += 2 if pair else 1
        return query if corrected == written else " ".join(corrected)

    def _knows(self, word: str) -> bool:
        return word in self._known or singular(word) in self._known

    def _joined(self, pair: list[str]) -> str | None:
        """Two written words as one, if the dictionary knows it and not both of them."""
        bare = [word for text in pair for word in words(text)]
        if len(bare) != 2 or all(map(self._knows, bare)):
            return None
        word = "".join(bare)
        return word if self._knows(word) else None

    def _word(self, text: str) -> str:
        (word, *others) = words(text) or [""]
        correctable = not others and _SHORTEST <= len(word) <= _LONGEST and word.isalpha()
        if not correctable or self._knows(word):
            return text
        return self._nearest(word, 1) or self._split(word) or (
            self._nearest(word, 2) if len(word) >= _LONG else None
        ) or text  # fmt: skip

    def _nearest(self, word: str, limit: int) -> str | None:
        """The nearest word within a distance; of equally near ones, the most used."""
        try:
            from rapidfuzz import process
            from rapidfuzz.distance import OSA
        except ImportError as error:
            message = "correction needs rapidfuzz: pip install 'shopsight[search]'"
            raise UsageError(message) from error
        near = process.extract(
            word, self._words, scorer=OSA.distance, score_cutoff=limit, limit=_CANDIDATES
        )
        return min(near, key=lambda item: (item[1], -self._counts[item[0]]))[0] if near else None

    def _split(self, word: str) -> str | None:
        """Two words of the dictionary that a missing space joined; the most used pair."""
        pairs = [(word[:i], word[i:]) for i in range(_PART, len(word) - _PART + 1)]
        known = [pair for pair in pairs if pair[0] in self._counts and pair[1] in self._counts]
        if not known:
            return None
        return " ".join(max(known, key=lambda pair: min(self._counts[part] for part in pair)))
