"""Queries as token ids: one `Vocabulary`, trained on the queries or taken from a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from shopsight.errors import DataError
from shopsight.formats.atomic import atomic_write, make_folder
from shopsight.formats.manifest import ManifestFormat
from shopsight.text import wordpiece
from shopsight.text.normalise import normalise
from shopsight.text.stopwords import stop_words
from shopsight.types import BoolArray, IntArray

VOCABULARY = ManifestFormat(
    "vocabulary.json",
    "vocabulary",
    2,
    "prepare the data again",
    frozenset({"source", "stop", "merge_plurals"}),
    # Its checksum tells whether a run was trained on the same data.
    stamped=False,
)
_SPECIAL_TOKENS = {
    "padding": ("[PAD]", "<pad>"),
    "unknown": ("[UNK]", "<unk>"),
    "start": ("[CLS]", "<s>"),
    "end": ("[SEP]", "</s>"),
}
_BATCH = 8192


class Vocabulary:
    """V ``tokens`` by id, and the encoding of queries as token ids.

    Args:
        source: where the tokenizer came from, for people.
        stop: tokens that `encode` leaves out; by default `stop_words`.
        merge_plurals: encode English plurals as their singular where both are tokens.

    Raises:
        DataError: the tokenizer is not WordPiece, or lacks one of the four special tokens.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        source: str,
        stop: frozenset[str] | None = None,
        *,
        merge_plurals: bool = False,
    ) -> None:
        self.source, self.merge_plurals = source, merge_plurals
        self.stop = stop_words() if stop is None else stop
        self._tokenizer = wordpiece.bare(tokenizer, source)
        ids = self._tokenizer.get_vocab(with_added_tokens=False)
        # Published vocabularies have holes: ids without a token.
        self.tokens = [""] * (max(ids.values(), default=-1) + 1)
        for token, token_id in ids.items():
            self.tokens[token_id] = token
        self.pad, self.unk, self.start, self.end = _special_ids(ids, source)
        self._continues = np.array([token.startswith(wordpiece.PREFIX) for token in self.tokens])
        self._stops = np.array([token in self.stop for token in self.tokens])
        self._plural_piece = ids.get(f"{wordpiece.PREFIX}s", -1)
        self._read_as = _singulars(self.tokens) if merge_plurals else np.arange(len(self.tokens))

    @property
    def size(self) -> int:
        """V, the number of ids."""
        return len(self.tokens)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, without those that are stop words as whole words.

        A text of stop words only keeps them, and a text without any token becomes the unknown one.
        """
        encoded: list[list[int]] = []
        for start in range(0, len(texts), _BATCH):
            encoded += self._encode_batch(texts[start : start + _BATCH])
        return encoded

    def decode(self, ids: Sequence[int]) -> str:
        """The words that token ids spell, without padding, start and end."""
        skipped = {self.pad, self.start, self.end}
        pieces = " ".join(self.tokens[i] for i in ids if i not in skipped)
        return pieces.replace(f" {wordpiece.PREFIX}", "")

    def spelled_by(self, other: Vocabulary) -> list[list[int]]:
        """For each token, the ids of another vocabulary that spell it; none where it cannot.

        A token is its own spelling where both have it; else the longest pieces that the other has
        are put together, as WordPiece does. Special tokens correspond by their role.
        """
        ids = {token: i for i, token in enumerate(other.tokens) if token}
        spelled = [wordpiece.spell(token, ids, other.normal) for token in self.tokens]
        for name in ("pad", "unk", "start", "end"):
            spelled[getattr(self, name)] = [getattr(other, name)]
        return spelled

    def normal(self, text: str) -> str:
        """The text as the tokenizer normalises it."""
        normalizer = self._tokenizer.normalizer
        return text if normalizer is None else str(normalizer.normalize_str(text))

    def with_plurals_merged(self) -> Vocabulary:
        """The same tokens with `merge_plurals`."""
        return Vocabulary(self._tokenizer, self.source, self.stop, merge_plurals=True)

    def with_stop_words(self, stop: frozenset[str]) -> Vocabulary:
        """The same tokens, of which other ones are left out."""
        return Vocabulary(self._tokenizer, self.source, stop, merge_plurals=self.merge_plurals)

    def save(self, folder: str | Path) -> None:
        """Write ``tokenizer.json``, which Hugging Face reads too, and ``vocabulary.json``."""
        folder = Path(folder)
        make_folder(folder)
        with atomic_write(folder / wordpiece.TOKENIZER) as file:
            file.write(self._tokenizer.to_str(pretty=True))
        content = {
            "source": self.source,
            "size": self.size,
            "stop": sorted(self.stop),
            "merge_plurals": self.merge_plurals,
        }
        VOCABULARY.write(folder, content)

    @classmethod
    def load(cls, folder: str | Path) -> Vocabulary:
        """Read what `save` wrote. Raises DataError if it is missing or damaged."""
        content = VOCABULARY.read(folder)
        if not isinstance(content["stop"], list):
            raise DataError(f"{folder}: damaged {VOCABULARY.file}; {VOCABULARY.remedy}")
        return cls(
            wordpiece.read_folder(Path(folder)),
            str(content["source"]),
            frozenset(map(str, content["stop"])),
            merge_plurals=bool(content["merge_plurals"]),
        )

    def _encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        encodings = self._tokenizer.encode_batch_fast([normalise(text) for text in texts])
        pieces = [encoding.ids for encoding in encodings]
        sizes = np.fromiter(map(len, pieces), np.int64, len(pieces))
        flat = np.fromiter(chain.from_iterable(pieces), np.int64, int(sizes.sum()))
        kept = self._content_mask(flat, sizes)
        bounds = np.append(0, np.cumsum(kept))[np.append(0, np.cumsum(sizes))].tolist()
        content = self._read_as[flat[kept]].tolist()
        return [
            content[start:stop] or piece or [self.unk]
            for start, stop, piece in zip(bounds[:-1], bounds[1:], pieces, strict=True)
        ]

    def _content_mask(self, flat: IntArray, sizes: IntArray) -> BoolArray:
        """(N,) mask of the pieces to keep."""
        # "and" is a stop word, but not the "and" of "and", "##roid".
        continued = np.zeros(len(flat), bool)
        continued[:-1] = self._continues[flat[1:]]
        # The last piece of a text is not continued by the first of the next.
        continued[np.cumsum(sizes)[sizes > 0] - 1] = False
        kept: BoolArray = ~self._stops[flat] | continued
        if self.merge_plurals:
            kept &= flat != self._plural_piece
        return kept


def train_vocabulary(queries: Iterable[str], size: int) -> Vocabulary:
    """Train a WordPiece vocabulary of at most ``size`` tokens, repeatably; see `wordpiece.train`.

    Raises:
        DataError: no query contains a word.
    """
    texts = [text for text in map(normalise, queries) if text]
    if not texts:
        raise DataError("cannot train a vocabulary: no query contains a word")
    return Vocabulary(wordpiece.train(texts, size), f"trained on {len(texts)} queries")


def load_vocabulary(name_or_folder: str | Path) -> Vocabulary:
    """Load a vocabulary from a local folder or, by name, from the Hugging Face hub.

    A folder holds what `Vocabulary.save` wrote, or a tokenizer (see `wordpiece.read_folder`).

    Raises:
        DataError: no tokenizer there, another kind of tokenizer, or the hub cannot be reached.
    """
    folder = Path(name_or_folder)
    if (folder / VOCABULARY.file).is_file():
        return Vocabulary.load(folder)
    name = str(name_or_folder)
    return Vocabulary(
        wordpiece.read_folder(folder) if folder.is_dir() else wordpiece.fetch(name), name
    )


def _singulars(tokens: Sequence[str]) -> IntArray:
    """(V,) id of the singular for each plural that begins with it, else the own id.

    So a word still shows what it is encoded as: "shoes" is "shoe", and "ladies" stays.
    """
    ids = {token: i for i, token in enumerate(tokens)}
    singulars = np.arange(len(tokens))
    for plural, plural_id in ids.items():
        if len(plural) > 3 and plural.isalpha() and plural.endswith("s") and plural[-2:] != "ss":
            stems = [plural[:-1], *([plural[:-2]] if plural.endswith("es") else [])]
            singulars[plural_id] = next((ids[s] for s in stems if s in ids), plural_id)
    return singulars


def _special_ids(ids: dict[str, int], source: str) -> list[int]:
    special = {role: [ids[name] for name in names if name in ids]
               for role, names in _SPECIAL_TOKENS.items()}  # fmt: skip
    for role, present in special.items():
        if not present:
            example = _SPECIAL_TOKENS[role][0]
            raise DataError(f"{source}: the tokenizer has no token for {role}, such as {example}")
    return [present[0] for present in special.values()]
