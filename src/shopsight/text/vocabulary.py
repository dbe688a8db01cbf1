"""Queries as token ids: one `Vocabulary`, trained on the queries or taken from a model.

Both sources end in the same class, so that nothing after this module knows which it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from shopsight.errors import DataError
from shopsight.formats.atomic import atomic_write
from shopsight.text import wordpiece
from shopsight.text.normalise import normalise
from shopsight.text.stopwords import stop_words
from shopsight.types import BoolArray, IntArray

_ABOUT = "vocabulary.json"
_NAMES = {
    "padding": ("[PAD]", "<pad>"),
    "unknown": ("[UNK]", "<unk>"),
    "start": ("[CLS]", "<s>"),
    "end": ("[SEP]", "</s>"),
}
_BATCH = 8192


class Vocabulary:
    """A fixed list of V tokens, and queries as lists of their ids.

    Made by `train_vocabulary` or `load_vocabulary`.

    Args:
        tokenizer: a `tokenizers.Tokenizer` with a WordPiece model.
        source: where it came from, for people.
        stop: the tokens that `encode` leaves out; our own list by default.
        merge_plurals: read English plurals as their singular where both are tokens.

    Attributes:
        tokens: the V tokens; the id of a token is its place.
        pad: id of the token that fills short rows.
        unk: id of the token for what has no token.
        start: id of the token that begins a generated sequence.
        end: id of the token that ends it.

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
        self.tokens = [""] * (max(ids.values(), default=-1) + 1)  # published lists have holes
        for token, place in ids.items():
            self.tokens[place] = token
        self.pad, self.unk, self.start, self.end = _special_ids(ids, source)
        self._continues = np.array([token.startswith(wordpiece.PREFIX) for token in self.tokens])
        self._stops = np.array([token in self.stop for token in self.tokens])
        self._plural_piece = ids.get(f"{wordpiece.PREFIX}s", -1)
        self._read_as = _singulars(self.tokens) if merge_plurals else np.arange(len(self.tokens))

    @property
    def size(self) -> int:
        """V, how many ids there are."""
        return len(self.tokens)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The content tokens of each text, never none.

        A text is normalised and cut into WordPieces; those that are stop words, as whole words,
        are left out. A text of stop words only keeps them, and a text without any token is the
        unknown token. There are no start and end tokens.

        Args:
            texts: Q queries as they came.

        Returns:
            Q lists of one token id or more.
        """
        encoded: list[list[int]] = []
        for start in range(0, len(texts), _BATCH):
            encoded += self._encode_batch(texts[start : start + _BATCH])
        return encoded

    def decode(self, ids: Sequence[int]) -> str:
        """The words that token ids spell; padding, start and end are left out."""
        silent = {self.pad, self.start, self.end}
        pieces = " ".join(self.tokens[i] for i in ids if i not in silent)
        return pieces.replace(f" {wordpiece.PREFIX}", "")

    def with_plurals_merged(self) -> Vocabulary:
        """The same tokens; plurals are read as their singular from here on."""
        return Vocabulary(self._tokenizer, self.source, self.stop, merge_plurals=True)

    def save(self, folder: str | Path) -> None:
        """Write ``tokenizer.json``, which Hugging Face reads too, and ``vocabulary.json``."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        about = {
            "format": 1,
            "source": self.source,
            "size": self.size,
            "stop": sorted(self.stop),
            "merge_plurals": self.merge_plurals,
        }
        with atomic_write(folder / wordpiece.TOKENIZER) as file:
            file.write(self._tokenizer.to_str(pretty=True))
        with atomic_write(folder / _ABOUT) as file:
            json.dump(about, file, indent=1, ensure_ascii=False)

    @classmethod
    def load(cls, folder: str | Path) -> Vocabulary:
        """Read what `save` wrote. Raises DataError where it is missing or damaged."""
        path = Path(folder) / _ABOUT
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            source, stop = str(about["source"]), frozenset(map(str, about["stop"]))
            merge = bool(about.get("merge_plurals", False))
        except FileNotFoundError as error:
            raise DataError(f"{folder}: no vocabulary here, {_ABOUT} is missing") from error
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: not what a vocabulary was saved as ({error!r})") from error
        return cls(wordpiece.read_folder(Path(folder)), source, stop, merge_plurals=merge)

    def _encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        encodings = self._tokenizer.encode_batch_fast([normalise(text) for text in texts])
        pieces = [encoding.ids for encoding in encodings]
        sizes = np.fromiter(map(len, pieces), np.int64, len(pieces))
        flat = np.fromiter(chain.from_iterable(pieces), np.int64, int(sizes.sum()))
        kept = self._content(flat, sizes)
        bounds = np.append(0, np.cumsum(kept))[np.append(0, np.cumsum(sizes))].tolist()
        content = self._read_as[flat[kept]].tolist()
        return [
            content[start:stop] or piece or [self.unk]
            for start, stop, piece in zip(bounds[:-1], bounds[1:], pieces, strict=True)
        ]

    def _content(self, flat: IntArray, sizes: IntArray) -> BoolArray:
        """(N,) what stays: "and" is a stop word, the "and" of "and", "##roid" is part of a word."""
        continued = np.zeros(len(flat), bool)
        continued[:-1] = self._continues[flat[1:]]
        continued[np.cumsum(sizes)[sizes > 0] - 1] = False
        kept: BoolArray = ~self._stops[flat] | continued
        if self.merge_plurals:
            kept &= flat != self._plural_piece
        return kept


def train_vocabulary(queries: Iterable[str], size: int) -> Vocabulary:
    """Learn a WordPiece vocabulary from queries; the same queries give the same vocabulary.

    Args:
        queries: the training queries.
        size: most tokens, special tokens included (single characters are kept beyond it).

    Raises:
        DataError: there is no query with a character in it.
    """
    texts = [text for text in map(normalise, queries) if text]
    if not texts:
        raise DataError("cannot train a vocabulary: there is no query with a word in it")
    return Vocabulary(wordpiece.train(texts, size), f"trained on {len(texts)} queries")


def load_vocabulary(name_or_folder: str | Path) -> Vocabulary:
    """A vocabulary from a local folder or, by name, from the Hugging Face hub.

    A folder holds what `Vocabulary.save` wrote, or a ``tokenizer.json``, or BERT's ``vocab.txt``
    with an optional ``tokenizer_config.json``. Only WordPiece is read. The name is asked of the
    hub once: what `Vocabulary.save` writes afterwards needs no network.

    Raises:
        DataError: no tokenizer there, another kind of tokenizer, or the hub cannot be reached.
    """
    folder = Path(name_or_folder)
    if (folder / _ABOUT).is_file():
        return Vocabulary.load(folder)
    if folder.is_dir():
        return Vocabulary(wordpiece.read_folder(folder), str(name_or_folder))
    return Vocabulary(wordpiece.fetch(str(name_or_folder)), str(name_or_folder))


def _singulars(tokens: Sequence[str]) -> IntArray:
    """(V,) the id that each id is read as: of a plural its singular's, of all others its own.

    Only plurals that begin with their singular count, so that a word still shows what it is read
    as: "shoes" is "shoe", "dresses" is "dress", and "ladies" stays what it is.
    """
    places = {token: place for place, token in enumerate(tokens)}
    found = np.arange(len(tokens))
    for plural, place in places.items():
        if len(plural) > 3 and plural.isalpha() and plural.endswith("s") and plural[-2:] != "ss":
            ends = (1, 2) if plural.endswith("es") else (1,)
            known = [places[plural[:-end]] for end in ends if plural[:-end] in places]
            found[place] = known[0] if known else place
    return found


def _special_ids(ids: dict[str, int], source: str) -> list[int]:
    found = []
    for what, names in _NAMES.items():
        places = [ids[name] for name in names if name in ids]
        if not places:
            raise DataError(f"{source}: the tokenizer has no token for {what}, such as {names[0]}")
        found.append(places[0])
    return found
